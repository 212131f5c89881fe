//! How images are prepared, as the command line and the checkpoint tell it.

use clap::Args;
use learngene_datasets::{CheckedPreprocess, Preprocess};
use learngene_models::checkpoint::Preprocessing;

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
    /// Share of the image that the centre crop keeps; by default what the checkpoint tells, or a
    /// config.json of timm or a preprocessor_config.json beside it, 0.9 where nothing does.
    #[arg(long, value_name = "SHARE", value_parser = number::<f32>)]
    pub crop_pct: Option<f32>,
    /// Mean of each channel on the scale 0 to 1, told by the same, else ImageNet's. What `train` uses,
    /// its checkpoints tell.
    #[arg(long, value_name = "R,G,B", value_parser = channels, allow_hyphen_values = true)]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of each channel on the scale 0 to 1, as the mean.
    #[arg(long, value_name = "R,G,B", value_parser = channels, allow_hyphen_values = true)]
    pub std: Option<[f32; 3]>,
}

impl PreprocessArgs {
    /// The settings for a model of that input size, whose checkpoint tells this of them. A checkpoint by
    /// name may have been downloaded without what would tell more, so what is assumed of it is shown.
    pub fn check(
        &self,
        image_size: usize,
        told: Option<Preprocessing>,
        source: Option<&Source>,
    ) -> anyhow::Result<CheckedPreprocess> {
        let image_size = u32::try_from(image_size).unwrap_or(u32::MAX);
        let usual = Preprocess::new(image_size);
        let mean = self.mean.or(told.map(|told| told.mean));
        let std = self.std.or(told.map(|told| told.std));
        let crop_pct = self.crop_pct.or(told.and_then(|told| told.crop_pct));
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
            tracing::warn!("{source}: assumed of its images, as nothing tells it: {assumed}");
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
