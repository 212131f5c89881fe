//! How images are prepared, by the command line and the checkpoint.

use clap::Args;
use learngene_checkpoints::Preprocessing;
use learngene_datasets::{CheckedPreprocess, Preprocess};

use crate::{
    args::{image_size, number},
    hub::Source,
};

/// How images become tensors.
#[derive(Args)]
#[command(next_help_heading = "Preprocessing")]
pub struct PreprocessArgs {
    /// Side of the square input in pixels; the checkpoint's own by default. Position embeddings
    /// are interpolated where it differs.
    #[arg(long, value_name = "PIXELS", value_parser = image_size)]
    pub image_size: Option<usize>,
    /// Part of the image that the centre crop keeps, 0 to 1 [default: from the checkpoint, or timm's
    /// config.json or a preprocessor_config.json beside it, else 0.9].
    #[arg(long, value_name = "SHARE", value_parser = number::<f32>)]
    pub crop_pct: Option<f32>,
    /// Per-channel mean, 0 to 1 [default: from the checkpoint, else ImageNet's].
    #[arg(long, value_name = "R,G,B", value_parser = channels, allow_hyphen_values = true)]
    pub mean: Option<[f32; 3]>,
    /// Per-channel standard deviation, 0 to 1 [default: from the checkpoint, else ImageNet's].
    #[arg(long, value_name = "R,G,B", value_parser = channels, allow_hyphen_values = true)]
    pub std: Option<[f32; 3]>,
}

impl PreprocessArgs {
    /// The settings for a model of that input size, with what its checkpoint says of them. A checkpoint
    /// of the hub may have been downloaded without the files that say more, so assumptions are logged.
    pub fn check(
        &self,
        image_size: usize,
        known: Option<Preprocessing>,
        source: Option<&Source>,
    ) -> anyhow::Result<CheckedPreprocess> {
        let image_size = u32::try_from(image_size).unwrap_or(u32::MAX);
        let usual = Preprocess::new(image_size);
        let mean = self.mean.or(known.map(|known| known.mean));
        let std = self.std.or(known.map(|known| known.std));
        let crop_pct = self.crop_pct.or(known.and_then(|known| known.crop_pct));
        let preprocess = Preprocess {
            crop_pct: crop_pct.unwrap_or(usual.crop_pct),
            mean: mean.unwrap_or(usual.mean),
            std: std.unwrap_or(usual.std),
            ..usual
        };
        let list = |numbers: [f32; 3]| numbers.map(|number| number.to_string()).join(",");
        let assumed = [
            mean.is_none().then(|| format!("--mean {}", list(usual.mean))),
            std.is_none().then(|| format!("--std {}", list(usual.std))),
            crop_pct.is_none().then(|| format!("--crop-pct {}", usual.crop_pct)),
        ];
        let assumed: Vec<String> = assumed.into_iter().flatten().collect();
        if let Some(source @ Source::Hub(..)) = source
            && !assumed.is_empty()
        {
            let assumed = assumed.join(" ");
            tracing::warn!(
                "{source}: its files do not say how images are prepared; assumed {assumed}"
            );
        }
        Ok(preprocess.check()?)
    }
}

/// Three numbers separated by commas.
fn channels(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    numbers
        .ok()
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| format!("wanted three numbers such as 0.485,0.456,0.406, got `{text}`"))
}
