//! A Swin's windows and the side of its images, which no tensor has for an axis.

use super::super::Context;
use crate::{
    ShapeError, SwinConfig,
    checkpoint::{CheckpointError, Note},
};

/// Side of the images of every published Swin of windows of 7, in pixels.
const PUBLISHED_IMAGE_SIZE: usize = 224;

/// What tensors tell of windows.
pub(super) struct Windows<'a> {
    /// Side of each stage's windows, by its tables of relative positions.
    pub sides: &'a [usize],
    /// Patches along one side of the image, by the masks of shifted windows.
    pub grid_of_masks: Option<usize>,
}

/// A side of images, in pixels, and who says so.
struct ImageSize {
    by: String,
    pixels: usize,
}

/// A stage whose windows would not be those of its tables.
struct Misfit {
    stage: usize,
    window: usize,
    table: usize,
}

/// Side of the windows that a table of so many relative positions is for: `(2 side - 1)^2`.
pub(super) fn side_of_table(positions: usize) -> Option<usize> {
    let side = side_of_square(positions)?;
    (side % 2 == 1).then_some(side / 2 + 1)
}

pub(super) fn side_of_square(places: usize) -> Option<usize> {
    let side = places.isqrt();
    (side > 0 && side * side == places).then_some(side)
}

impl Windows<'_> {
    /// Gives a shape the sides of its windows and images.
    pub fn complete(
        &self,
        shape: SwinConfig,
        context: &Context,
        notes: &mut Vec<Note>,
    ) -> Result<SwinConfig, CheckpointError> {
        if shape.patch_size == 0 {
            return Err(ShapeError::Zero { field: "patch_size" }.into());
        }
        let shape = SwinConfig { window_size: self.largest(), ..shape };
        let of_file = self.image_size_of_file(&shape, context)?;
        let image_size =
            match (context.options.image_size, of_file) {
                (Some(pixels), of_file) => {
                    notes.extend(of_file.filter(|of_file| of_file.pixels != pixels).map(
                        |of_file| Note::ImageSizeChanged { from: of_file.pixels, to: pixels },
                    ));
                    ImageSize { by: "--image-size".into(), pixels }
                }
                (None, Some(of_file)) => of_file,
                (None, None) => self.published_image_size(&shape, context, notes)?,
            };
        let shape = SwinConfig { image_size: image_size.pixels, ..shape };
        self.fit(&shape).map_err(|misfit| misfit.of_image_size(context, &image_size))?;
        shape.check()?;
        self.with_window_size(shape, context)
    }

    /// A stage of less resolution than the window is one smaller window.
    fn largest(&self) -> usize {
        self.sides.iter().copied().max().unwrap_or(0)
    }

    /// The side of the images that tensors tell, or else the header or a config.json beside the file.
    fn image_size_of_file(
        &self,
        shape: &SwinConfig,
        context: &Context,
    ) -> Result<Option<ImageSize>, CheckpointError> {
        if let Some(found) = self.measured_image_size(shape) {
            if let Some(told) = context.told {
                context.agree(told, &["image_size"], found.pixels)?;
            }
            return Ok(Some(found));
        }
        let Some(told) = context.told else { return Ok(None) };
        Ok(told.image_size()?.map(|pixels| ImageSize { by: told.by.clone(), pixels }))
    }

    /// A stage of smaller windows than others is one window: its side tells the image's. Masks of
    /// shifted windows tell it too.
    fn measured_image_size(&self, shape: &SwinConfig) -> Option<ImageSize> {
        let is_one_window = |(_, side): &(usize, usize)| *side < shape.window_size;
        let one_window = self.sides.iter().copied().enumerate().find(is_one_window);
        let (by, grid) = match (one_window, self.grid_of_masks) {
            (Some((stage, side)), _) => {
                (format!("the table of relative positions of stage {stage}"), side << stage)
            }
            (None, Some(grid)) => ("the mask of shifted windows".into(), grid),
            (None, None) => return None,
        };
        Some(ImageSize { by, pixels: grid.saturating_mul(shape.patch_size) })
    }

    /// The side of the images of a preset, or else of the published models, where the windows fit.
    fn published_image_size(
        &self,
        shape: &SwinConfig,
        context: &Context,
        notes: &mut Vec<Note>,
    ) -> Result<ImageSize, CheckpointError> {
        if let Some((by, preset)) = context.preset(SwinConfig::preset) {
            return Ok(ImageSize { by, pixels: preset.image_size });
        }
        let pixels = PUBLISHED_IMAGE_SIZE;
        let published = shape.clone().with_image_size(pixels);
        if published.check().is_err() || self.fit(&published).is_err() {
            return Err(CheckpointError::UnknownImageSize { path: context.path.into() });
        }
        notes.push(Note::ImageSizeAssumed { image_size: pixels });
        Ok(ImageSize { by: "the published models".into(), pixels })
    }

    /// Where all stages are one window, tables alone do not tell how large windows might be, so that
    /// what is said of them counts as long as it fits.
    fn with_window_size(
        &self,
        mut shape: SwinConfig,
        context: &Context,
    ) -> Result<SwinConfig, CheckpointError> {
        let mut said = Vec::new();
        if let Some(told) = context.told {
            said.extend(told.size("window_size")?.map(|size| (told.by.clone(), size)));
        }
        let preset = context.preset(SwinConfig::preset);
        said.extend(preset.map(|(by, preset)| (by, preset.window_size)));
        for (by, window_size) in &said {
            let told = shape.clone().with_window_size(*window_size);
            if self.fit(&told).is_err() {
                context.same(by, "window_size", *window_size, self.largest())?;
            }
        }
        if let Some((_, window_size)) = said.first() {
            shape.window_size = *window_size;
        }
        Ok(shape)
    }

    /// Whether all stages have the windows that their tables are for.
    fn fit(&self, shape: &SwinConfig) -> Result<(), Misfit> {
        for (stage, &table) in self.sides.iter().enumerate() {
            let window = shape.window(stage);
            if window != table {
                return Err(Misfit { stage, window, table });
            }
        }
        Ok(())
    }
}

impl Misfit {
    fn of_image_size(self, context: &Context, image_size: &ImageSize) -> CheckpointError {
        let Self { stage, window, table } = self;
        let (path, pixels) = (context.path.into(), image_size.pixels);
        if context.options.image_size.is_some() {
            return CheckpointError::Windows { path, image_size: pixels, stage, window, table };
        }
        CheckpointError::Contradiction {
            path,
            told_by: image_size.by.clone(),
            field: format!("a window of stage {stage} (of images of {pixels} px)"),
            told: window,
            found: table,
        }
    }
}
