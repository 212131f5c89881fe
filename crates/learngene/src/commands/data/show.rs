//! `learngene data show`

use std::{
    io::Cursor,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use learngene_datasets::{
    Augment, BadImages, Dataset, MOST_TILES, Pipeline, Preprocess, Split, contact_sheet, open,
};
use learngene_training::Recipe;

use crate::{
    args::{at_least_one, dataset, whole_number},
    files::write_whole,
    kind::Kind,
};

/// Draws some training images as a model sees them, one a row.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene data show cifar10 --augmented --recipe \
    recipes/descendant.toml --image-size 224 --out sheet.png")]
pub struct Args {
    /// Name of a dataset or a folder.
    #[arg(value_name = "NAME|FOLDER", value_parser = dataset)]
    data: String,
    /// Draws each image as augmented in several epochs, too. A column is a batch, so that mixed
    /// images show what they are mixed with.
    #[arg(long)]
    augmented: bool,
    /// Recipe whose augmentation and seed are shown; otherwise a flip and a crop.
    #[arg(long, value_name = "FILE", requires = "augmented")]
    recipe: Option<PathBuf>,
    /// Rows: images, taken evenly from the whole set; at most 167.
    #[arg(long, value_name = "N", value_parser = tiles, default_value = "8")]
    images: NonZeroUsize,
    /// Columns beside the first: epochs.
    #[arg(long, value_name = "N", value_parser = tiles, default_value = "8",
        requires = "augmented")]
    epochs: NonZeroUsize,
    /// Side of a model's input, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 96, value_parser = whole_number::<u32>)]
    image_size: u32,
    /// The picture, PNG.
    #[arg(long, value_name = "FILE", value_parser = Kind::Picture.name())]
    out: PathBuf,
}

/// A number of rows or columns; with tiles of more than 96 pixels fewer fit, which the sheet says.
fn tiles(text: &str) -> Result<NonZeroUsize, String> {
    let tiles = at_least_one(text)?;
    let refused = || format!("wanted at most {MOST_TILES} for a picture to look at, got `{text}`");
    (tiles.get() <= MOST_TILES).then_some(tiles).ok_or_else(refused)
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let inputs: Vec<&Path> = args.recipe.iter().map(PathBuf::as_path).collect();
    Kind::Picture.prepare(&args.out, &inputs)?;
    let recipe = args.recipe.as_deref().map(Recipe::read).transpose()?.unwrap_or_default();
    let augment = if args.augmented { recipe.augment } else { Augment::none() };
    let images: Arc<dyn Dataset> = open(&args.data, Split::Train, BadImages::Refuse)?.into();
    let rows = args.images.get().min(images.len());
    // One further each time, for sets in which classes take turns.
    let index = |row: usize| (row * images.len() / rows + row) % images.len();
    let indices: Vec<usize> = (0..rows).map(index).collect();
    let pipeline = Pipeline {
        dataset: images,
        preprocess: Preprocess::new(args.image_size).check()?,
        augment: Some(augment.check()?),
        seed: recipe.seed,
        label_smoothing: recipe.label_smoothing,
    };
    let columns = if args.augmented { args.epochs.get() } else { 1 };
    let mut png = Cursor::new(Vec::new());
    contact_sheet(&pipeline, &indices, columns)?
        .write_to(&mut png, image::ImageFormat::Png)
        .context("the picture cannot be encoded")?;
    write_whole(&args.out, png.get_ref())?;
    tracing::info!("wrote {}", args.out.display());
    Ok(())
}
