//! A Swin's windows and the side of its images, which no tensor has for an axis.

use learngene_shape::{Family, Swin};
use learngene_tensors::{Error, Result};

use super::Context;

/// Side of the images of every published Swin of windows of 7, in pixels.
const PUBLISHED_IMAGE_SIZE: usize = 224;

/// What tensors say of windows.
pub(super) struct Windows {
    /// Side of each stage's windows, by its table of relative positions.
    sides: Vec<usize>,
    /// Patches along one side of the image, by the masks of shifted windows.
    grid_of_masks: Option<usize>,
}

/// A side of images, in pixels, and what says so.
struct ImageSize {
    source: String,
    pixels: usize,
}

impl Windows {
    /// From the table of each stage, `[positions, heads]`, and the masks of shifted windows: the
    /// stage of each, and how many windows it is for.
    pub fn new(tables: &[[usize; 2]], masks: &[(usize, usize)]) -> Result<Self> {
        let side = |(stage, [positions, _]): (usize, &[usize; 2])| {
            side_of_table(*positions).ok_or_else(|| {
                let place = format!("stage {stage}: table of relative positions");
                let found = format!("{positions} positions");
                Error::invalid(place, found, "the square of an odd number")
            })
        };
        let sides: Vec<usize> = tables.iter().enumerate().map(side).collect::<Result<_>>()?;
        let mut grids = masks.iter().filter_map(|(stage, windows)| {
            Some(side_of_square(*windows)?.checked_mul(*sides.get(*stage)?)? << stage)
        });
        let grid_of_masks = grids.next();
        Ok(Self { sides, grid_of_masks })
    }

    /// Gives a model the sides of its windows and images.
    pub fn complete(&self, swin: Swin, context: &Context, notes: &mut Vec<String>) -> Result<Swin> {
        if swin.patch_size == 0 {
            swin.check().map_err(|error| context.in_file(error))?;
        }
        let swin = Swin { window_size: self.largest(), ..swin };
        let of_file = self.image_size_of_file(&swin, context)?;
        let image_size = match (context.options.image_size, of_file) {
            (Some(pixels), of_file) => {
                if let Some(from) = of_file.map(|of| of.pixels).filter(|from| *from != pixels) {
                    notes.push(format!(
                        "takes images of {pixels} px in place of {from} px, in the same windows"
                    ));
                }
                ImageSize { source: "--image-size".into(), pixels }
            }
            (None, Some(of_file)) => of_file,
            (None, None) => self.published_image_size(&swin, context, notes)?,
        };
        let swin = Swin { image_size: image_size.pixels, ..swin };
        self.check(&swin, &image_size.source).map_err(|error| context.in_file(error))?;
        swin.check().map_err(|error| context.in_file(error))?;
        self.with_window_size(swin, context)
    }

    /// A stage of less resolution than the window is one smaller window.
    fn largest(&self) -> usize {
        self.sides.iter().copied().max().unwrap_or(0)
    }

    /// The side of the images that tensors give, or else the header or a config.json beside the file.
    fn image_size_of_file(&self, swin: &Swin, context: &Context) -> Result<Option<ImageSize>> {
        let of_sidecar = match context.sidecar {
            Some(sidecar) => sidecar.image_size()?.map(|pixels| (sidecar, pixels)),
            None => None,
        };
        match (self.measured_image_size(swin), of_sidecar) {
            (Some(ImageSize { source, pixels }), Some((sidecar, found))) if found != pixels => {
                let path = context.path.display();
                let expected = format!("{pixels} to match {source} in {path}");
                Err(sidecar.unfit("image_size", found, expected))
            }
            (Some(measured), _) => Ok(Some(measured)),
            (None, of_sidecar) => Ok(of_sidecar
                .map(|(sidecar, pixels)| ImageSize { source: sidecar.name.clone(), pixels })),
        }
    }

    /// A stage of smaller windows than others is one window: its side gives the image's. Masks of
    /// shifted windows give it too.
    fn measured_image_size(&self, swin: &Swin) -> Option<ImageSize> {
        let is_one_window = |(_, side): &(usize, usize)| *side < swin.window_size;
        let one_window = self.sides.iter().copied().enumerate().find(is_one_window);
        let (source, grid) = match (one_window, self.grid_of_masks) {
            (Some((stage, side)), _) => {
                (format!("the table of relative positions of stage {stage}"), side << stage)
            }
            (None, Some(grid)) => ("the mask of shifted windows".into(), grid),
            (None, None) => return None,
        };
        Some(ImageSize { source, pixels: grid.saturating_mul(swin.patch_size) })
    }

    /// The side of the images of a preset, or else of the published models, where the windows fit.
    fn published_image_size(
        &self,
        swin: &Swin,
        context: &Context,
        notes: &mut Vec<String>,
    ) -> Result<ImageSize> {
        if let Some(preset) = context.preset
            && let Some(pixels) = preset.image_size()?
        {
            return Ok(ImageSize { source: preset.name.clone(), pixels });
        }
        let pixels = PUBLISHED_IMAGE_SIZE;
        let published = Swin { image_size: pixels, ..swin.clone() };
        if published.check().is_err() || self.misfit(&published).is_some() {
            let found = format!("none, and windows that do not fit the published {pixels} px");
            let error =
                Error::invalid("image size", found, "the side of its images: pass --image-size");
            return Err(context.in_file(error));
        }
        notes.push(format!(
            "assumed images of {pixels} px, as in the published models; pass --image-size if it \
             takes others"
        ));
        Ok(ImageSize { source: "the published models".into(), pixels })
    }

    /// Where all stages are one window, tables alone do not say how large windows might be, so that
    /// what a configuration says counts as long as it fits.
    fn with_window_size(&self, swin: Swin, context: &Context) -> Result<Swin> {
        let mut given = Vec::new();
        for sidecar in context.sidecar.into_iter().chain(context.preset) {
            let Some(window_size) = sidecar.size("window_size")? else { continue };
            let with = Swin { window_size, ..swin.clone() };
            if self.misfit(&with).is_some() {
                let largest = [self.largest()];
                let tensors = context.tensors();
                sidecar.agree(&[(&["window_size"], &largest)], &swin.depths, &tensors)?;
            }
            given.push(window_size);
        }
        let window_size = given.first().copied().unwrap_or(swin.window_size);
        Ok(Swin { window_size, ..swin })
    }

    /// Refuses a model with a stage whose windows are not those of its table.
    fn check(&self, swin: &Swin, source: &str) -> Result<()> {
        let Some((stage, window, table)) = self.misfit(swin) else { return Ok(()) };
        let pixels = swin.image_size;
        let found =
            format!("images of {pixels} px, with windows of {window} tokens in stage {stage}");
        let expected = format!(
            "windows of {table}, as its table of relative positions is for: those are not \
                     interpolated"
        );
        Err(Error::invalid(source, found, expected))
    }

    /// A stage whose windows are not those of its table, both sides.
    fn misfit(&self, swin: &Swin) -> Option<(usize, usize, usize)> {
        let mut stages = self.sides.iter().enumerate();
        stages.find_map(|(stage, table)| {
            let window = swin.window(stage);
            (window != *table).then_some((stage, window, *table))
        })
    }
}

/// Side of the windows that a table of so many relative positions is for: `(2 side - 1)^2`.
fn side_of_table(positions: usize) -> Option<usize> {
    let side = side_of_square(positions)?;
    (side % 2 == 1).then_some(side / 2 + 1)
}

fn side_of_square(places: usize) -> Option<usize> {
    let side = places.isqrt();
    (side > 0 && side * side == places).then_some(side)
}
