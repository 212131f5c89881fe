//! How the images of a checkpoint were normalised, where a file beside it says so.

use std::path::Path;

use super::{CheckpointError, told::Told};

/// What a model expects of its images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Mean of each channel on the scale 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel on the scale 0 to 1.
    pub std: [f32; 3],
}

/// Reads the normalisation that a file beside a checkpoint tells: timm's config.json
/// (`pretrained_cfg.mean`, `.std`) or transformers' preprocessor_config.json (`image_mean`,
/// `image_std`). There is none where neither does.
///
/// # Errors
/// Names the file that cannot be read, is no JSON object, or has other than three numbers there.
pub fn normalization(checkpoint: &Path) -> Result<Option<Normalization>, CheckpointError> {
    let sources = [
        ("config.json", Some("pretrained_cfg"), ["mean", "std"]),
        ("preprocessor_config.json", None, ["image_mean", "image_std"]),
    ];
    for (file, section, fields) in sources {
        let Some(told) = Told::beside(checkpoint, file)? else { continue };
        let [mean, std] = fields.map(|field| told.channels(section, field));
        if let (Some(mean), Some(std)) = (mean?, std?) {
            return Ok(Some(Normalization { mean, std }));
        }
    }
    Ok(None)
}
