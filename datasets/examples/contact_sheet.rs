//! Shows what DeiT's augmentation makes of some images of a dataset.
//!
//!     cargo run -p learngene-datasets --example contact_sheet -- cifar10-sample sheet.png [IMAGE_SIZE]

use std::{env, error::Error, sync::Arc};

use learngene_datasets::{Augment, BadImages, Pipeline, Preprocess, Split, contact_sheet, open};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, file, rest @ ..] = arguments.as_slice() else {
        return Err("wanted DATASET FILE.png [IMAGE_SIZE]".into());
    };
    let image_size = rest.first().map_or(Ok(96), |text| text.parse())?;
    let pipeline = Pipeline {
        dataset: Arc::from(open(name, Split::Train, BadImages::Refuse)?),
        preprocess: Preprocess::new(image_size).check()?,
        augment: Some(Augment::deit().check()?),
        seed: 0,
        label_smoothing: 0.1,
    };
    let indices: Vec<usize> = (0..pipeline.dataset.len().min(8)).collect();
    contact_sheet(&pipeline, &indices, 10)?.save(file)?;
    Ok(())
}
