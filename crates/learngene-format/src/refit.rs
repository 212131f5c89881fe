use learngene_tensors::{Result, Sha256};
use serde::{Deserialize, Serialize};

use crate::{
    Clusters,
    check::{SIZE, check_each, check_length, ensure, is_size},
};

/// How output projections, and second matrices of shared FFNs, were fitted to the
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
    pub images_sha256: Sha256,
    /// `[layer]`: the fits of its output projection: that of all centroids, then those of fewer, the
    /// first in order of priority, each in tensors of its own (`attn.proj.first.{heads}`).
    pub attention: Vec<Vec<ProjectionFit>>,
    /// `[group]`: the fit of a shared FFN's second matrix; null for an FFN of
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
    pub(crate) fn check(&self, clusters: &Clusters) -> Result<()> {
        check_each("ridge", [self.ridge], is_size, SIZE)?;
        ensure(self.images > 0, "images of the refit", 0, "at least 1")?;
        let centroids = clusters.heads.num_centroids();
        check_length("fits of attention", self.attention.len(), centroids.len())?;
        for (layer, (fits, centroids)) in self.attention.iter().zip(centroids).enumerate() {
            let place = format!("layer {layer}: fits");
            let heads: Vec<usize> = fits.iter().map(|fit| fit.heads).collect();
            let is_falling = heads.is_sorted_by(|more, fewer| more > fewer);
            let are_right =
                heads.first() == Some(&centroids) && is_falling && heads.last() != Some(&0);
            let expected = format!("all {centroids} centroids, then falling numbers of at least 1");
            ensure(are_right, &place, format!("{heads:?} heads"), expected)?;
            fits.iter().try_for_each(|fit| fit.fit.check(&place))?;
        }
        check_length("fits of FFNs", self.ffn.len(), clusters.ffn.groups.len())?;
        for (index, (fit, group)) in self.ffn.iter().zip(&clusters.ffn.groups).enumerate() {
            let place = format!("fit of FFN group {index}");
            let is_shared = group.layers.len() > 1;
            let found = if fit.is_some() { "a fit" } else { "null" };
            let expected = "a fit for several layers, null for one";
            ensure(fit.is_some() == is_shared, &place, found, expected)?;
            fit.iter().try_for_each(|fit| fit.check(&place))?;
        }
        Ok(())
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
