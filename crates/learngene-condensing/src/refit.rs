//! Output projections fitted so that centroid heads alone do what all heads of the ancestor did.

mod centroid_model;
mod cholesky;
mod fitting;
mod images;
mod linear_map;
mod moments;
mod params;
mod solve;
mod streams;
mod ways;

use std::error::Error as StdError;

use burn::tensor::{Device, Tensor};
use learngene_format as format;
use learngene_format::{Learngene, RefitInputs};
use learngene_models::checkpoint::Checkpoint;

pub(crate) use centroid_model::centroid_model;
pub(crate) use images::Images;
pub(crate) use linear_map::LinearMap;
pub(crate) use moments::{Moments, Sums};
pub use params::{CheckedRefitParams, RefitParams};
pub(crate) use solve::NEGLIGIBLE;
#[cfg(test)]
pub(crate) use streams::half_layers;

use self::fitting::Fitting;
use crate::{ancestor::Ancestor, error::ClusteringError, manifest};

/// Bytes of tokens that are kept instead of being made from the images again for every fit; twice
/// as many for a while where layers share a feed-forward network.
const BUDGET: usize = 1 << 30;

/// Fits the output projection of every layer of a learngene by ridge regression, so that the
/// centroid heads' outputs alone give what the ancestor's attention gave on the images; and the
/// second matrix of every feed-forward network that several layers share, so that it gives what
/// theirs gave. The manifest of what comes out tells how well each matrix was fitted.
///
/// The fit starts at the ancestor's own columns and is left out where it brings nothing, so errors
/// never grow: with every head its own centroid the learngene stays as it is. Least squares are
/// solved from sums over tokens, in f64. Under [`RefitInputs::Own`] the layers of a group of
/// feed-forward networks feed each other: their common matrix is fitted on the tokens that its fit
/// to the ancestor's inputs leaves, and their projections then once again.
///
/// Images are gone through once; but where the tokens of all images are more than a gigabyte,
/// [`RefitInputs::Own`] goes through them for every fit again.
///
/// # Measured
/// ViT-S/14 (DINOv2), 22 of the 36 heads of its first six layers by clusters at 10 px of 224,
/// fitted on 128 training images of CIFAR-10's sample at 84 px: on 1,000 test images the mean patch
/// after those layers differs from the ancestor's by .97 of its variance with the ancestor's own
/// columns, by .26 fitted on the ancestor's inputs and by .15 on own ones; a ridge probe of it finds
/// 58.7, 64.7 and 65.1 % of the classes (all heads: 66.5 %). To weigh tokens by the inverse square
/// of their target, lest a few large ones hide the rest, brought nothing, and is not offered. Nor is
/// it to weigh layers that share a network by the inverse of their outputs' variance: of the desk ViT
/// with its twelve layers in 8, 4, 2 and 1 networks, a ridge probe of the class token then finds the
/// classes of 64.1, 65.3, 63.0 and 49.6 % of 1,000 test images, without weights 64.1, 64.7, 64.1 and
/// 58.9 %.
///
/// # Shapes
/// - images: batches, each `[batch, 3, image_size, image_size]`, normalised; the same ones every
///   time
///
/// # Errors
/// A learngene that is refitted already or comes from another ancestor; the images' own error; no
/// image; images that are nearly blank, or other ones the next time; tokens that are not finite.
pub fn refit<F, I, E>(
    learngene: &Learngene,
    ancestor: &Checkpoint,
    images: F,
    images_sha256: &str,
    params: &CheckedRefitParams,
    device: &Device,
) -> Result<Learngene, ClusteringError>
where
    F: Fn() -> I,
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError + Send + Sync + 'static,
{
    refit_within(BUDGET, learngene, ancestor, images, images_sha256, params, device)
}

/// [`refit`] with another number of bytes for tokens.
fn refit_within<F, I, E>(
    budget: usize,
    learngene: &Learngene,
    ancestor: &Checkpoint,
    images: F,
    images_sha256: &str,
    params: &CheckedRefitParams,
    device: &Device,
) -> Result<Learngene, ClusteringError>
where
    F: Fn() -> I,
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError + Send + Sync + 'static,
{
    check(learngene, ancestor)?;
    let images_sha256 = manifest::sha256(images_sha256, "images_sha256")?;
    let params = params.get();
    let own = centroid_model(learngene, &ancestor.config, device)?;
    let ancestor = ancestor.config.load(&ancestor.parameters, device)?;
    let mut fitting = Fitting::new(learngene, params, &ancestor, own);
    let mut images = Images::new(images);
    match params.inputs {
        RefitInputs::Ancestor => fitting.on_ancestors_inputs(&mut images)?,
        RefitInputs::Own => fitting.on_own_inputs(&mut images, budget)?,
    }
    let Fitting { tensors: fitted, attention, ffn, .. } = fitting;
    let (mut manifest, mut tensors) = learngene.clone().into_parts();
    tensors.extend(fitted);
    manifest.refit = Some(format::Refit {
        inputs: params.inputs,
        ridge: params.ridge,
        images: images.count(),
        images_sha256,
        attention,
        ffn,
    });
    Ok(Learngene::new(manifest, tensors)?)
}

/// Checks that the learngene was condensed from this ancestor and not refitted since.
fn check(learngene: &Learngene, ancestor: &Checkpoint) -> Result<(), ClusteringError> {
    let manifest = learngene.manifest();
    if manifest.refit.is_some() {
        return Err(ClusteringError::AlreadyRefitted);
    }
    let (got, want) = (manifest.ancestor.sha256.to_string(), ancestor.sha256.clone());
    if got != want {
        let (what, source_file) = ("ancestor hash", "learngene");
        return Err(ClusteringError::Mismatch { what, source_file, got, want });
    }
    manifest::check_architecture(
        &manifest.architecture,
        &manifest::architecture(&ancestor.config),
    )?;
    Ancestor::new(ancestor).map(|_| ())
}

#[cfg(test)]
mod solve_tests;
#[cfg(test)]
mod tests;
