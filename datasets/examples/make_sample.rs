//! Makes the embedded sample anew from CIFAR-10 in the cache:
//! `cargo run -p learngene-datasets --example make_sample -- datasets/sample`.
//!
//! The rule: of each class, the first 200 images of `data_batch_1.bin` to `data_batch_5.bin` and the first 100 of
//! `test_batch.bin`, in the order of the files; the classes take turns, and 50 images make a row of the sheet.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use image::{RgbImage, imageops};
use learngene_datasets::{Cifar10, Dataset, Split, Subset, cache_folder, images_sha256};

const COLUMNS: usize = 50;
const SIDE: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("name the folder to write")?;
    let cifar10 = cache_folder()?.join("cifar10");
    for (split, per_class) in [(Split::Train, 200), (Split::Test, 100)] {
        let dataset = Cifar10::open(&cifar10, split)?;
        let chosen = first_of_each_class(&dataset, per_class);
        write_png(&sheet(&dataset, &chosen)?, &folder.join(format!("{split}.png")))?;
        let sample = Cifar10::sample(split)?;
        println!("{split}: {} images, images_sha256 {}", chosen.len(), images_sha256(&sample)?);
        let subset = Subset::new(std::sync::Arc::new(dataset), chosen)?;
        for index in 0..subset.len() {
            let same = subset.image(index)? == sample.image(index)?;
            if !same || subset.label(index) != sample.label(index) {
                println!("image {index} differs from the sample in this program: build it again");
                break;
            }
        }
    }
    Ok(())
}

/// Indices of the first `per_class` images of every class, the classes in turns.
fn first_of_each_class(dataset: &dyn Dataset, per_class: usize) -> Vec<usize> {
    let classes = dataset.classes().len();
    let members: Vec<Vec<usize>> = (0..classes)
        .map(|class| {
            let all = (0..dataset.len()).filter(|index| dataset.label(*index) == Some(class));
            all.take(per_class).collect()
        })
        .collect();
    (0..per_class)
        .flat_map(|turn| members.iter().filter_map(move |class| class.get(turn)))
        .copied()
        .collect()
}

fn sheet(dataset: &dyn Dataset, chosen: &[usize]) -> Result<RgbImage, Box<dyn Error>> {
    let (width, height) = (COLUMNS * SIDE, chosen.len().div_ceil(COLUMNS) * SIDE);
    let mut sheet = RgbImage::new(width as u32, height as u32);
    for (tile, index) in chosen.iter().enumerate() {
        let (left, top) = (tile % COLUMNS * SIDE, tile / COLUMNS * SIDE);
        imageops::replace(&mut sheet, &dataset.image(*index)?, left as i64, top as i64);
    }
    Ok(sheet)
}

fn write_png(image: &RgbImage, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut encoder =
        png::Encoder::new(BufWriter::new(File::create(path)?), image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(image.as_raw())?;
    writer.finish()?;
    Ok(())
}
