use serde::{Deserialize, Serialize};

/// How output projections, and second matrices of shared feed-forward networks, were fitted to the
/// ancestor's outputs by ridge regression on the probe images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refit {
    /// What every layer was fed.
    pub inputs: RefitInputs,
    /// Ridge, as a multiple of the features' mean variance.
    pub ridge: f64,
    /// Number of images.
    pub images: u64,
    /// Hash of the image list and of the images' contents.
    pub images_sha256: crate::Sha256,
    /// `[layer]`: the fits of its output projection: that of all centroids, then those of fewer, the
    /// first in order of priority, each in tensors of its own (`attn.proj.first.{heads}`).
    pub attention: Vec<Vec<ProjectionFit>>,
    /// `[group]`: the fit of a shared feed-forward network's second matrix; null for a network of
    /// one layer, which needs none.
    pub ffn: Vec<Option<Fit>>,
}

/// What the layers were fed while they were fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefitInputs {
    /// The ancestor's tokens, each layer on its own.
    Ancestor,
    /// The tokens of the model with centroid heads alone, with the ancestor's tokens as target, so
    /// that a layer also makes up for those before it.
    Own,
}

/// The fit of an output projection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectionFit {
    /// Centroids that it reads, the first in order of priority.
    pub heads: usize,
    /// How well it went.
    pub fit: Fit,
}

/// How far outputs are from those wanted, before and after a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// With the ancestor's own columns.
    pub before: Residual,
    /// With the fitted ones.
    pub after: Residual,
}

/// Squared difference of outputs from those wanted, relative to the variance of those wanted.
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
