use std::path::Path;

use learngene_tensors::{Result, Sha256};
use serde::{Deserialize, Serialize};

use crate::{
    check::{SIZE, check_each, check_length, ensure, is_size},
    json::{self, JsonFile},
};

/// Mean attention distances of an ancestor's heads, and how they were measured: what
/// `distances.json` holds, and a section of the [`Manifest`](crate::Manifest).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distances {
    /// `[layer][head]`: mean over images and queries, in pixels of the input. Layers may differ in
    /// their number of heads.
    pub mean_attention_distance: Vec<Vec<f64>>,
    /// `[layer][head]`: standard deviation (n - 1) over images, in pixels; null where unknown, as
    /// for a single image.
    pub std: Vec<Vec<Option<f64>>>,
    /// Number of images.
    pub images: u64,
    /// Hash of the image list and of the images' contents.
    pub images_sha256: Sha256,
    /// How an image became an input.
    pub preprocessing: Preprocessing,
    /// What became of the class token's share of attention.
    pub convention: Convention,
    /// Attention rows left out, because almost all their mass lay on the class token.
    pub skipped_rows: u64,
    /// `[layer]`: side of the square that one query attends to, in pixels of the input: the image's
    /// for ViT, the window's for Swin.
    pub attended_side: Vec<usize>,
    /// Layers of each stage; a ViT is one stage.
    pub depths: Vec<usize>,
    /// Hash of the ancestor's checkpoint.
    pub ancestor_sha256: Sha256,
    /// Program or crate that measured, and its version.
    pub producer: String,
}

/// How a probe image became an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Part of the resized image's side that the centre crop keeps, in `(0, 1]`.
    pub crop_pct: f32,
    /// Mean of each colour channel, for pixels in `[0, 1]`.
    pub mean: [f32; 3],
    /// Standard deviation of each colour channel, for pixels in `[0, 1]`.
    pub std: [f32; 3],
}

/// What becomes of the class token's share of attention when distances are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// Each row is divided by its sum over patches.
    #[default]
    Renormalized,
    /// Rows stay as they are, biased low by the class token's share, as in the published probe.
    Published,
}

impl Distances {
    /// Heads of each layer.
    pub fn num_heads(&self) -> Vec<usize> {
        self.mean_attention_distance.iter().map(Vec::len).collect()
    }

    /// `[layer]`: mean over heads, in pixels.
    pub fn layer_means(&self) -> Vec<f64> {
        let mean = |heads: &Vec<f64>| heads.iter().sum::<f64>() / heads.len() as f64;
        self.mean_attention_distance.iter().map(mean).collect()
    }

    /// Checks that the fields are in range and agree with each other.
    ///
    /// # Errors
    /// Names the first that is wrong.
    pub fn check(&self) -> Result<()> {
        let depth = self.mean_attention_distance.len();
        ensure(depth > 0, "mean_attention_distance", "no layer", "at least one")?;
        check_length("std", self.std.len(), depth)?;
        let layers = self.mean_attention_distance.iter().zip(&self.std).enumerate();
        for (layer, (means, std)) in layers {
            let place = format!("mean_attention_distance[{layer}]");
            ensure(!means.is_empty(), &place, "no head", "at least one")?;
            check_each(&place, means.iter().copied(), is_size, SIZE)?;
            let place = format!("std[{layer}]");
            check_length(&place, std.len(), means.len())?;
            // An unknown standard deviation says nothing that could be wrong.
            check_each(&place, std.iter().map(|std| std.unwrap_or(0.0)), is_size, SIZE)?;
        }
        ensure(self.images > 0, "images", 0, "at least 1")?;
        self.preprocessing.check()?;
        check_length("attended_side", self.attended_side.len(), depth)?;
        let has_sides = !self.attended_side.contains(&0);
        ensure(has_sides, "attended_side", "a side of 0", "at least 1 pixel in each layer")?;
        let sum = self.depths.iter().try_fold(0, |sum: usize, depth| sum.checked_add(*depth));
        let are_all = sum == Some(depth) && !self.depths.contains(&0);
        let expected = format!("stages of at least one layer, together {depth}");
        ensure(are_all, "depths", json::text(&self.depths), expected)
    }

    /// Reads a `distances.json` and checks it.
    ///
    /// # Errors
    /// A file that cannot be read, holds something else, or contradicts itself.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        json::read(path.as_ref())
    }

    /// Writes a `distances.json`, whole or not at all.
    ///
    /// # Errors
    /// Those of [`Distances::check`]; a file that cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        json::write(self, path.as_ref())
    }
}

impl JsonFile for Distances {
    const EXPECTED: &'static str = "distances from `learngene probe`";
    const FIELD: &'static str = "mean_attention_distance";

    fn check(&self) -> Result<()> {
        self.check()
    }
}

impl Preprocessing {
    fn check(&self) -> Result<()> {
        let Self { image_size, crop_pct, mean, std } = self;
        ensure(*image_size > 0, "preprocessing: image_size", 0, "at least 1")?;
        let is_part = *crop_pct > 0.0 && *crop_pct <= 1.0;
        ensure(is_part, "preprocessing: crop_pct", crop_pct, "above 0 and at most 1")?;
        let mean = mean.map(f64::from);
        check_each("preprocessing: mean", mean, f64::is_finite, "a finite number")?;
        let is_scale = |value: f64| value.is_finite() && value > 0.0;
        check_each("preprocessing: std", std.map(f64::from), is_scale, "a positive, finite number")
    }
}
