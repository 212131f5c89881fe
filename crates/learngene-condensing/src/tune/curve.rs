//! The file `curve.json`: what every size costs, and which one was chosen.

use std::{fs, path::Path};

use learngene_tensors::{Error, Result, Sha256, write_whole};
use serde::{Deserialize, Serialize};

use super::{Budget, Stability, TuneSetting};

/// Learngene size against feature error, and the point that was chosen. Unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuneCurve {
    /// Hash of the ancestor's checkpoint.
    pub ancestor_sha256: Sha256,
    /// Parameters of the ancestor.
    pub ancestor_parameters: u64,
    /// Their bytes.
    pub ancestor_bytes: u64,
    /// Number of images that errors are measured on.
    pub images: u64,
    /// Hash of the image list and of the images' contents.
    pub images_sha256: Sha256,
    /// Heads of each layer of the ancestor.
    pub num_heads: Vec<usize>,
    /// Ridge of the fits.
    pub ridge: f64,
    /// What the learngene may cost.
    pub budget: Budget,
    /// The setting chosen for it.
    pub chosen: TunePoint,
    /// Bytes of its file, refitted, at most.
    pub chosen_file_bytes: u64,
    /// The method's default eps for every layer, FFNs not joined.
    pub default: TunePoint,
    /// Settings with one eps for all layers that no other such beats, from the smallest.
    pub one_eps: Vec<TunePoint>,
    /// Settings with an eps for each layer that no other beats, from the smallest.
    pub per_layer: Vec<TunePoint>,
    /// How firmly the chosen clusters stand on these images, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stability: Option<Stability>,
    /// Crate that chose, and its version.
    pub producer: String,
}

/// A setting, what it keeps and what that costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunePoint {
    /// The parameters of the clustering.
    pub setting: TuneSetting,
    /// `[layer]`: the heads that are kept, in head order.
    pub heads: Vec<Vec<usize>>,
    /// Runs of neighbouring layers that share one FFN, those of one layer too.
    pub ffn_groups: Vec<Vec<usize>>,
    /// Numbers that the learngene stores.
    pub parameters: u64,
    /// Their bytes; a file has a header of some kilobytes too.
    pub bytes: u64,
    /// `[layer]`: what a fitted projection leaves of the attention's output, relative to its
    /// variance.
    pub attention_error: Vec<f64>,
    /// `[layer]`: what a fitted second matrix leaves of the FFN's output, relative to its variance; 0
    /// where the FFN is the layer's own.
    pub ffn_error: Vec<f64>,
    /// The feature error: the mean of both over all layers.
    pub error: f64,
}

impl TunePoint {
    /// Heads kept, of all layers together.
    pub fn kept_heads(&self) -> usize {
        self.heads.iter().map(Vec::len).sum()
    }
}

impl TuneCurve {
    /// Reads a `curve.json` and checks it.
    ///
    /// # Errors
    /// A file that cannot be read, holds something else, or contradicts itself.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(Error::read(path))?;
        let curve: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::invalid("", error, "a curve from `learngene tune`").in_file(path)
        })?;
        curve.check().map_err(|error| error.in_file(path))?;
        Ok(curve)
    }

    /// Writes a `curve.json`, whole or not at all.
    ///
    /// # Errors
    /// Those of [`TuneCurve::check`]; a file that cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.check().map_err(|error| error.in_file(path))?;
        let text = serde_json::to_string_pretty(self).expect("all maps have strings as keys");
        write_whole(path, [text + "\n"]).map_err(Error::write(path))
    }

    /// Checks that all points are of the ancestor's shape and their errors are numbers, and that
    /// along a curve errors fall as sizes grow.
    ///
    /// # Errors
    /// Names the first that is wrong.
    pub fn check(&self) -> Result<()> {
        let depth = self.num_heads.len();
        let curves = [("one_eps", &self.one_eps), ("per_layer", &self.per_layer)];
        for (name, points) in curves {
            for (at, point) in points.iter().enumerate() {
                point.check(&format!("{name}[{at}]"), depth)?;
            }
            let rises = |pair: &[TunePoint]| {
                pair[0].parameters < pair[1].parameters && pair[0].error > pair[1].error
            };
            if let Some(at) = points.windows(2).position(|pair| !rises(pair)) {
                let TunePoint { parameters, error, .. } = &points[at + 1];
                let found = format!("{parameters} parameters and an error of {error}");
                let expected = "more parameters than the point before, and less error";
                return Err(Error::invalid(format!("{name}[{}]", at + 1), found, expected));
            }
        }
        self.default.check("default", depth)?;
        self.chosen.check("chosen", depth)
    }
}

impl TunePoint {
    fn check(&self, field: &str, depth: usize) -> Result<()> {
        for (list, length) in [
            ("heads", self.heads.len()),
            ("attention_error", self.attention_error.len()),
            ("ffn_error", self.ffn_error.len()),
        ] {
            if length != depth {
                let found = format!("{length} entries");
                return Err(Error::invalid(format!("{field}.{list}"), found, depth));
            }
        }
        let mut errors = self.attention_error.iter().chain(&self.ffn_error).chain([&self.error]);
        match errors.find(|error| !(error.is_finite() && **error >= 0.0)) {
            None => Ok(()),
            Some(error) => {
                let expected = "a finite number of 0 or more";
                Err(Error::invalid(format!("an error of {field}"), error, expected))
            }
        }
    }
}
