//! The file `curve.json`: what every size costs, and which one was chosen.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Budget, Stability, TuneError};
use crate::{
    Algorithm, FfnParams, NoisePolicy,
    error::ClusteringError,
    json::{self, JsonFile},
};

/// Learngene size against feature error, and the point that was chosen. Unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuneCurve {
    /// SHA-256 of the ancestor's checkpoint, in hexadecimal.
    pub ancestor_sha256: String,
    /// Parameters of the ancestor.
    pub ancestor_parameters: u64,
    /// Their bytes.
    pub ancestor_bytes: u64,
    /// Number of images that errors are measured on.
    pub images: u64,
    /// SHA-256 of the list of images, in hexadecimal.
    pub images_sha256: String,
    /// Heads of each layer of the ancestor.
    pub num_heads: Vec<usize>,
    /// Ridge of the fits.
    pub ridge: f64,
    /// What was wanted.
    pub budget: Budget,
    /// The setting chosen for it.
    pub chosen: TunePoint,
    /// Bytes of its file, refitted, at most.
    pub chosen_file_bytes: u64,
    /// The method's default eps for every layer, networks not joined; none where the distances do
    /// not say how far heads can look.
    pub default: Option<TunePoint>,
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
    /// Runs of neighbouring layers that share one feed-forward network, those of one layer too.
    pub ffn_groups: Vec<Vec<usize>>,
    /// Numbers that the learngene stores.
    pub parameters: u64,
    /// Their bytes; a file has a header of some kilobytes too.
    pub bytes: u64,
    /// `[layer]`: what a fitted projection leaves of the attention's output, relative to its
    /// variance.
    pub attention_error: Vec<f64>,
    /// `[layer]`: what a fitted second matrix leaves of the feed-forward network's output, relative
    /// to its variance; 0 where the network is the layer's own.
    pub ffn_error: Vec<f64>,
    /// The feature error: the mean of both over all layers.
    pub error: f64,
}

/// Parameters of the clustering that can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuneSetting {
    /// In pixels: one for each layer, or one for all.
    pub eps: Vec<f64>,
    /// Least number of heads in the neighbourhood of a core head, itself counted.
    pub min_points: usize,
    /// What becomes of heads outside every cluster.
    pub noise: NoisePolicy,
    /// Largest difference of layers that share a feed-forward network, in pixels; none where each
    /// keeps its own.
    pub ffn_eps: Option<f64>,
}

impl TuneSetting {
    /// As clustering takes it.
    pub fn algorithm(&self) -> Algorithm {
        let Self { eps, min_points, noise, .. } = self.clone();
        Algorithm::Dbscan { eps, min_points, noise }
    }

    /// As joining of feed-forward networks takes it.
    pub fn ffn_params(&self) -> FfnParams {
        self.ffn_eps.map_or_else(FfnParams::default, |eps| FfnParams::contiguous(vec![eps]))
    }
}

impl TunePoint {
    /// Heads kept, of all layers together.
    pub fn kept_heads(&self) -> usize {
        self.heads.iter().map(Vec::len).sum()
    }
}

impl TuneCurve {
    /// Reads a `curve.json` and checks it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ClusteringError> {
        json::read(path.as_ref())
    }

    /// Writes a `curve.json`, whole or not at all.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ClusteringError> {
        json::write(self, path.as_ref())
    }

    /// Refuses points of another ancestor's shape, numbers that are none, and a curve along which
    /// errors do not fall as sizes grow.
    pub fn check(&self) -> Result<(), ClusteringError> {
        let depth = self.num_heads.len();
        let curves = [("one_eps", &self.one_eps), ("per_layer", &self.per_layer)];
        let of_curves = curves.iter().flat_map(|(name, points)| {
            points.iter().enumerate().map(move |(at, point)| (format!("{name}[{at}]"), point))
        });
        let default = self.default.iter().map(|point| ("default".to_owned(), point));
        let chosen = [("chosen".to_owned(), &self.chosen)];
        for (field, point) in of_curves.chain(default).chain(chosen) {
            point.check(&field, depth)?;
        }
        for (name, points) in curves {
            let rises = |pair: &[TunePoint]| {
                pair[0].parameters < pair[1].parameters && pair[0].error > pair[1].error
            };
            if let Some(at) = points.windows(2).position(|pair| !rises(pair)) {
                return Err(TuneError::Curve {
                    field: format!("{name}[{}]", at + 1),
                    got: format!(
                        "{} parameters and {}",
                        points[at + 1].parameters,
                        points[at + 1].error
                    ),
                    wanted: "larger than the point before, and less wrong",
                }
                .into());
            }
        }
        Ok(())
    }
}

impl TunePoint {
    fn check(&self, field: &str, depth: usize) -> Result<(), ClusteringError> {
        for (list, got) in [
            ("heads", self.heads.len()),
            ("attention_error", self.attention_error.len()),
            ("ffn_error", self.ffn_error.len()),
        ] {
            if got != depth {
                let field = format!("{field}.{list}");
                let (got, wanted) = (format!("{got} entries"), "one entry for each layer");
                return Err(TuneError::Curve { field, got, wanted }.into());
            }
        }
        let errors = self.attention_error.iter().chain(&self.ffn_error).chain([&self.error]);
        for error in errors {
            if !(error.is_finite() && *error >= 0.0) {
                let (field, got) = (format!("an error of {field}"), error.to_string());
                let wanted = "a finite number of 0 or more";
                return Err(TuneError::Curve { field, got, wanted }.into());
            }
        }
        Ok(())
    }
}

impl JsonFile for TuneCurve {
    const WHAT: &'static str = "curve";

    fn check(&self) -> Result<(), ClusteringError> {
        self.check()
    }
}
