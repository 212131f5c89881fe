//! Learngenes of a chosen size, and learngenes by clusters with fitted matrices.

use std::{collections::BTreeMap, error::Error as StdError};

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::Checkpoint;
use learngene_format::{
    Ancestor, ClusterAlgorithm, Clusters, Distances, FfnAlgorithm, FfnClusters, FfnGroup, FfnNorm,
    HeadClusters, HeadOrder, LayerClusters, Learngene, Manifest, Parameters, Refit,
    RepresentativePolicy, VERSION, centroid_shape,
};
use learngene_least_squares::Moments;
use learngene_models::Model;
use learngene_shape::{LayerSizes, Place};
use learngene_tensors::{Error, Result, Sha256, StateDict};

use crate::{
    PRODUCER, Worth,
    ancestor::{check_distances, check_parameters, check_shape},
    fit::Fitting,
    images::Images,
    sums::unsolvable,
    tokens::{Half, Tokens},
};

/// How matrices are fitted, and what a learngene of a chosen size holds beside them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// Ridge, as a multiple of the features' mean variance: how much a change of the ancestor's
    /// columns must bring to be made.
    pub ridge: f64,
    /// Keeps what the fitted matrices are for fewer heads and hidden units.
    pub any_size: bool,
    /// Keeps the ancestor's classifier, where it has one.
    pub classifier: bool,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { ridge: 0.1, any_size: true, classifier: false }
    }
}

impl FitOptions {
    /// Checks all that can be known without the ancestor.
    ///
    /// # Errors
    /// A ridge that is negative or not finite.
    pub fn check(self) -> Result<()> {
        if self.ridge.is_finite() && self.ridge >= 0.0 {
            return Ok(());
        }
        Err(Error::invalid("ridge", self.ridge, "a finite number of 0 or more"))
    }
}

/// Condenses an ancestor to its first layers, with so many heads and hidden units each.
///
/// Layer by layer, on the tokens that the layers before leave, heads and hidden units are chosen by
/// what they write, and the matrices that read them are fitted so that tokens become the ancestor's.
///
/// # Shapes
/// - images: batches, each `[batch, 3, image_size, image_size]`, normalised
///
/// # Errors
/// Sizes that the ancestor does not have; the images' own error; no image; images that are nearly
/// blank; tokens that are not finite.
pub fn condense_to<F, I, E>(
    ancestor: &Checkpoint,
    distances: &Distances,
    worth: &Worth,
    sizes: &[LayerSizes],
    images: F,
    options: FitOptions,
    device: &Device,
) -> Result<Learngene>
where
    F: Fn() -> I,
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError,
{
    options.check()?;
    check_parameters(ancestor)?;
    check_distances(ancestor, distances)?;
    let layers: Vec<usize> = (0..sizes.len()).collect();
    let shape = centroid_shape(&ancestor.shape, &layers, |layer| sizes[layer])?;
    let model = Model::load(&ancestor.shape, &ancestor.parameters, device)?;
    let mut images = Images::new(images);
    let tokens = Tokens::embed(&model, &mut images)?;
    let fitting = Fitting {
        ancestor: &model,
        tokens: [tokens.clone(), tokens],
        own: model.clone(),
        parameters: &ancestor.parameters,
        ridge: options.ridge,
        dtype: ancestor.dtype,
        any_size: options.any_size,
        is_whole: true,
    };
    let fitted = fitting.run(sizes.len(), &mut |layer, half, moments| {
        worth.choose(layer, half, moments, sizes[layer])
    })?;

    // Of layers that go, nothing is kept but the head that would be the first.
    let heads = (0..ancestor.shape.depth()).map(|layer| {
        let kept = fitted.heads.get(layer).unwrap_or(&worth.by_density[layer]);
        let count = if layer < sizes.len() { kept.len() } else { 1 };
        LayerClusters::of_order(ancestor.shape.layer(layer).heads.num_heads, &kept[..count])
    });
    let heads = HeadClusters {
        algorithm: ClusterAlgorithm::Order { by: worth.heads_by },
        representative: RepresentativePolicy::Nearest,
        random_heads: None,
        layers: heads.collect(),
    };
    let group = |layer| FfnGroup { layers: vec![layer], representative: layer };
    let ffn = FfnClusters {
        algorithm: FfnAlgorithm::None,
        representative: RepresentativePolicy::Nearest,
        norm: FfnNorm::Own,
        groups: (0..ancestor.shape.depth()).map(group).collect(),
    };
    let manifest = Manifest {
        version: VERSION,
        producer: PRODUCER.into(),
        ancestor: Ancestor {
            sha256: ancestor.sha256,
            parameters: ancestor.shape.count_parameters(),
            shape: ancestor.shape.clone(),
        },
        distances: distances.clone(),
        clusters: Clusters::new(heads, ffn, distances, PRODUCER),
        curves: Some(worth.curves.of_sizes(sizes)),
        refit: Some(Refit {
            ridge: options.ridge,
            images: images.count(),
            images_sha256: distances.images_sha256,
            any_size: options.any_size,
            layers: fitted.fits,
        }),
        layers,
        dtype: ancestor.dtype,
        keep_projection: false,
        classifier: options.classifier && shape.num_classes() > 0,
        shape,
        parameters: Parameters::default(),
        tensors: BTreeMap::new(),
    };
    let mut tensors = fitted.tensors;
    for parameter in manifest.shape.parameters() {
        let is_whole = parameter.place.layer().is_none()
            && (manifest.classifier || parameter.place != Place::Classifier);
        if is_whole {
            let tensor = ancestor.parameters.get(&parameter.name);
            tensors.insert(parameter.name, tensor.expect("it was checked").clone());
        }
    }
    Learngene::new(manifest, tensors)
}

impl Worth {
    /// The heads or hidden units of a layer that are kept, in their order.
    fn choose(
        &self,
        layer: usize,
        half: Half,
        moments: &Moments,
        sizes: LayerSizes,
    ) -> Result<Vec<usize>> {
        let (width, count) = match half {
            Half::Attention => {
                let order = &self.by_density[layer];
                if self.heads_by == HeadOrder::Density {
                    return Ok(order[..sizes.num_heads].to_vec());
                }
                (moments.covariance.nrows() / order.len(), sizes.num_heads)
            }
            Half::Ffn => (1, sizes.hidden_dim),
        };
        let [attention, ffn] = &self.metrics[layer];
        let metric = if half == Half::Attention { attention } else { ffn };
        let selection = moments.times(metric).forward_select(width, count);
        Ok(selection.map_err(unsolvable(layer))?.order)
    }
}

/// Fits the output projection of every layer of a learngene by clusters, and the second matrix of its
/// FFN, so that tokens become the ancestor's.
///
/// # Shapes
/// - images: batches, each `[batch, 3, image_size, image_size]`, normalised
///
/// # Errors
/// A learngene that is fitted already, comes from another ancestor, or whose layers share FFNs; the
/// images' own error; no image; images that are nearly blank; tokens that are not finite.
pub fn refit<F, I, E>(
    learngene: Learngene,
    ancestor: &Checkpoint,
    images: F,
    images_sha256: Sha256,
    options: FitOptions,
    device: &Device,
) -> Result<Learngene>
where
    F: Fn() -> I,
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError,
{
    options.check()?;
    check(&learngene, ancestor)?;
    let (mut manifest, mut tensors) = learngene.into_parts();
    let backbone = manifest.shape.with_num_classes(0)?;
    let names = backbone.parameter_shapes();
    let of_backbone = tensors.iter().filter(|(name, _)| names.contains_key(*name));
    let parameters: StateDict =
        of_backbone.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    let own = Model::load(&backbone, &parameters, device)?;
    let model = Model::load(&ancestor.shape, &ancestor.parameters, device)?;
    let mut images = Images::new(images);
    let tokens = Tokens::embed(&model, &mut images)?;
    let fitting = Fitting {
        ancestor: &model,
        tokens: [tokens.clone(), tokens],
        own,
        parameters: &parameters,
        ridge: options.ridge,
        dtype: manifest.dtype,
        any_size: options.any_size,
        is_whole: true,
    };
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
    Learngene::new(manifest, tensors)
}

/// Checks that the learngene was condensed from this ancestor and not fitted since.
fn check(learngene: &Learngene, ancestor: &Checkpoint) -> Result<()> {
    let manifest = learngene.manifest();
    if manifest.refit.is_some() {
        return Err(Error::invalid("learngene", "one that is refitted", "one as condensed"));
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
    check_shape(&ancestor.shape, &manifest.ancestor.shape)?;
    check_parameters(ancestor)
}

#[cfg(test)]
mod tests;
