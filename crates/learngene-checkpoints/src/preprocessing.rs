//! How the images of a checkpoint become its input, where the file or one beside it says so.

use std::path::Path;

use learngene_tensors::Result;
use serde::Serialize;

use crate::sidecar::{PRETRAINED_CFG, Sidecar};

/// What a model expects of its images, but for their size, which its shape gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Preprocessing {
    /// Mean of each channel on the scale 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel on the scale 0 to 1.
    pub std: [f32; 3],
    /// Share of the short side that the centre crop keeps, as timm defines it: images are resized so
    /// that their short side is `floor(image_size / crop_pct)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_pct: Option<f32>,
}

impl Preprocessing {
    /// What the header of a checkpoint says, or else timm's config.json (`pretrained_cfg`) or
    /// transformers' preprocessor_config.json (`image_mean`, `image_std`) beside it.
    pub(crate) fn found(checkpoint: &Path, header: Option<&Sidecar>) -> Result<Option<Self>> {
        let timm = ["mean", "std"];
        if let Some(header) = header
            && let Some(found) = Self::of(header, PRETRAINED_CFG, timm)?
        {
            return Ok(Some(found));
        }
        let sources = [
            ("config.json", PRETRAINED_CFG, timm),
            ("preprocessor_config.json", None, ["image_mean", "image_std"]),
        ];
        for (file, section, fields) in sources {
            let Some(sidecar) = Sidecar::beside(checkpoint, file)? else { continue };
            if let Some(found) = Self::of(&sidecar, section, fields)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn of(
        sidecar: &Sidecar,
        section: Option<&str>,
        [mean, std]: [&str; 2],
    ) -> Result<Option<Self>> {
        let is_mean = |mean: &[f32; 3]| mean.iter().all(|mean| (0.0..=1.0).contains(mean));
        let is_std = |std: &[f32; 3]| std.iter().all(|std| *std > 0.0 && *std <= 1.0);
        let mean = sidecar.parsed(section, mean, is_mean, "three numbers from 0 to 1")?;
        let std = sidecar.parsed(section, std, is_std, "three numbers above 0 and at most 1")?;
        let is_share = |share: &f32| *share > 0.01 && *share <= 1.0;
        let expected = "a number above 0.01 and at most 1";
        let crop_pct = sidecar.parsed(section, "crop_pct", is_share, expected)?;
        Ok(mean.zip(std).map(|(mean, std)| Self { mean, std, crop_pct }))
    }
}
