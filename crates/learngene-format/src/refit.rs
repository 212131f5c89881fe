use learngene_tensors::{Result, Sha256};
use serde::{Deserialize, Serialize};

use crate::check::{SIZE, check_each, check_length, ensure, is_size};

/// How the output projections and the second matrices of FFNs were fitted, by ridge regression on
/// images: layer by layer on the tokens that the layers before leave, so that each makes up for them
/// and for its own missing heads and hidden units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refit {
    /// Ridge, as a multiple of the features' mean variance.
    pub ridge: f64,
    /// Number of images given; a fit uses as many of them as it needs.
    pub images: u64,
    /// Hash of the image list and of the images' contents.
    pub images_sha256: Sha256,
    /// Whether the file holds what the matrices are for fewer heads and hidden units
    /// ([`nested_names`](crate::nested_names)).
    pub any_size: bool,
    /// One entry for each layer of the centroid model.
    pub layers: Vec<LayerFits>,
}

/// How well the matrices of one layer were fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerFits {
    /// Of the output projection.
    pub attention: Fit,
    /// Of the FFN's second matrix.
    pub ffn: Fit,
}

/// How far outputs are from their targets, before and after a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// With the ancestor's own columns.
    pub before: Residual,
    /// With the fitted ones.
    pub after: Residual,
}

/// Squared difference of outputs from their targets, relative to the targets' variance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// Over all channels together, which a few of very large activation decide.
    pub relative: f64,
    /// Median over channels, each relative to its own variance.
    pub median_channel: f64,
    /// Of the worst channel, relative to its own variance.
    pub worst_channel: f64,
}

impl Refit {
    pub(crate) fn check(&self, depth: usize) -> Result<()> {
        check_each("ridge", [self.ridge], is_size, SIZE)?;
        ensure(self.images > 0, "images of the refit", 0, "at least 1")?;
        check_length("layers of the refit", self.layers.len(), depth)?;
        self.layers.iter().enumerate().try_for_each(|(layer, LayerFits { attention, ffn })| {
            attention.check(&format!("layer {layer}: fit of the attention"))?;
            ffn.check(&format!("layer {layer}: fit of the FFN"))
        })
    }
}

impl Fit {
    fn check(&self, place: &str) -> Result<()> {
        [&self.before, &self.after].into_iter().try_for_each(|residual| {
            let Residual { relative, median_channel, worst_channel } = *residual;
            check_each(place, [relative, median_channel, worst_channel], is_size, SIZE)
        })
    }
}
