//! Learngenes of a chosen size.

use learngene_format::{
    ClusterAlgorithm, Clusters, FfnAlgorithm, FfnClusters, FfnGroup, FfnNorm, HeadClusters,
    HeadOrder, LayerClusters, Learngene, Manifest, Refit, RepresentativePolicy, centroid_shape,
};
use learngene_least_squares::Moments;
use learngene_shape::{LayerSizes, Place};
use learngene_tensors::Result;

use crate::{
    CondenseOptions, FitOptions, PRODUCER, RunningAncestor, Worth,
    ancestor::check_distances,
    condense::describe,
    fit::Fitting,
    half::Half,
    images::Images,
    sums::unsolvable,
    tokens::{LEAST_PER_FEATURE, Tokens},
};

/// Condenses an ancestor to its first layers, with so many heads and hidden units each.
///
/// Layer by layer, on the tokens that the layers before leave, heads and hidden units are chosen by
/// what they write, and the matrices that read them are fitted so that tokens become the ancestor's.
///
/// # Errors
/// Sizes that the ancestor does not have; the images' own error; no image; images that are nearly
/// blank; tokens that are not finite.
pub fn condense_to(
    ancestor: RunningAncestor,
    worth: &Worth,
    sizes: &[LayerSizes],
    images: &mut Images<'_>,
    fit: FitOptions,
) -> Result<Learngene> {
    fit.check()?;
    let RunningAncestor { model, checkpoint } = ancestor;
    let distances = &worth.distances;
    check_distances(&checkpoint, distances)?;
    let store = fit.store.unwrap_or(checkpoint.dtype.into());
    let layers: Vec<usize> = (0..sizes.len()).collect();
    let shape = centroid_shape(&checkpoint.shape, &layers, |layer| sizes[layer])?;
    let tokens = Tokens::embed(&model, images, LEAST_PER_FEATURE)?;
    let fitting = Fitting::new(model.clone(), model, tokens, fit, store);
    let fitted = fitting.run(sizes.len(), &mut |layer, half, moments| {
        worth.choose(layer, half, moments, sizes[layer])
    })?;

    let clusters = clusters(worth, &fitted.heads);
    let options = CondenseOptions {
        store: fit.store,
        classifier: fit.classifier,
        ..CondenseOptions::default()
    };
    let manifest = Manifest {
        shape,
        layers,
        refit: Some(Refit {
            ridge: fit.ridge,
            images: images.count(),
            images_sha256: distances.images_sha256,
            any_size: fit.any_size,
            layers: fitted.fits,
        }),
        curves: Some(worth.curves.of_sizes(sizes)),
        ..describe(&checkpoint, distances, &clusters, options)?
    };
    let mut tensors = fitted.tensors;
    for parameter in manifest.shape.parameters() {
        let is_whole = parameter.place.layer().is_none()
            && (manifest.classifier || parameter.place != Place::Classifier);
        if is_whole {
            let tensor = checkpoint.parameters.get(&parameter.name);
            tensors.insert(parameter.name, tensor.expect("it was checked").clone());
        }
    }
    Learngene::of_quantised(manifest, tensors, fitted.quantised)
}

/// The kept heads of each layer in their order; of layers that go, the head that would be the first.
fn clusters(worth: &Worth, kept: &[Vec<usize>]) -> Clusters {
    let depth = worth.by_density.len();
    let layer = |(layer, by_density): (usize, &Vec<usize>)| {
        let kept = kept.get(layer).map_or(&by_density[..1], |kept| kept);
        LayerClusters::of_order(by_density.len(), kept)
    };
    let heads = HeadClusters {
        algorithm: ClusterAlgorithm::Order { by: worth.heads_by },
        representative: RepresentativePolicy::Nearest,
        random_heads: None,
        layers: worth.by_density.iter().enumerate().map(layer).collect(),
    };
    let group = |layer| FfnGroup { layers: vec![layer], representative: layer };
    let ffn = FfnClusters {
        algorithm: FfnAlgorithm::None,
        representative: RepresentativePolicy::Nearest,
        norm: FfnNorm::Own,
        groups: (0..depth).map(group).collect(),
    };
    Clusters::new(heads, ffn, &worth.distances, PRODUCER)
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
        moments.order_for(metric, width, count).map_err(unsolvable(layer))
    }
}

#[cfg(test)]
mod tests;
