//! Learngenes by clusters, with fitted matrices.

use learngene_checkpoints::Checkpoint;
use learngene_format::{Learngene, Refit};
use learngene_models::{Classifier, Model};
use learngene_tensors::{Error, Result, Sha256};

use crate::{
    FitOptions, RunningAncestor,
    ancestor::check_shape,
    fit::Fitting,
    half::Half,
    images::Images,
    tokens::{LEAST_PER_FEATURE, Tokens},
};

/// Fits the output projection of every layer of a learngene by clusters, and the second matrix of its
/// FFN, so that tokens become the ancestor's.
///
/// # Errors
/// A learngene that is fitted already, has matrices of few bits, comes from another ancestor, or whose
/// layers share FFNs; the images' own error; no image; images that are nearly blank; tokens that are not finite.
pub fn refit(
    learngene: Learngene,
    ancestor: RunningAncestor,
    images: &mut Images<'_>,
    images_sha256: Sha256,
    options: FitOptions,
) -> Result<Learngene> {
    options.check()?;
    check(&learngene, &ancestor.checkpoint)?;
    let (mut manifest, mut tensors) = learngene.into_parts();
    manifest.store = options.store.unwrap_or(manifest.store);
    let backbone = manifest.shape.with_num_classes(0)?;
    let names = backbone.parameter_shapes();
    let of_backbone = tensors.iter().filter(|(name, _)| names.contains_key(*name));
    let parameters = of_backbone.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    let model = ancestor.model;
    let own = Model::load(&backbone, &parameters, &model.device())?;
    let tokens = Tokens::embed(&model, images, LEAST_PER_FEATURE)?;
    let fitting = Fitting::new(model, own, tokens, options, manifest.store);
    let depth = backbone.depth();
    let fitted = fitting.run(depth, &mut |layer, half, _| {
        let sizes = backbone.layer_sizes()[layer];
        Ok((0..if half == Half::Attention { sizes.num_heads } else { sizes.hidden_dim }).collect())
    })?;
    tensors.extend(fitted.tensors);
    manifest.refit = Some(Refit {
        ridge: options.ridge,
        images: images.count(),
        images_sha256,
        any_size: options.any_size,
        layers: fitted.fits,
    });
    Learngene::of_quantised(manifest, tensors, fitted.quantised)
}

/// Checks that the learngene was condensed from this ancestor and not fitted since.
fn check(learngene: &Learngene, ancestor: &Checkpoint) -> Result<()> {
    let manifest = learngene.manifest();
    if manifest.refit.is_some() {
        return Err(Error::invalid("learngene", "one that is refitted", "one as condensed"));
    }
    if manifest.store.of_matrices().is_some() {
        let expected = "one whose matrices are not rounded yet";
        return Err(Error::invalid("learngene to refit", manifest.store, expected));
    }
    if manifest.clusters.ffn.groups.len() < manifest.shape.depth() {
        let expected = "an FFN of its own for each layer";
        return Err(Error::invalid("learngene to refit", "layers that share an FFN", expected));
    }
    let expected = manifest.ancestor.sha256;
    if ancestor.sha256 != expected {
        let expected = format!("{expected}, of which the learngene was condensed");
        return Err(Error::invalid("hash of the checkpoint", ancestor.sha256, expected));
    }
    check_shape(&ancestor.shape, &manifest.ancestor.shape)
}
