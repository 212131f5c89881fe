//! How firmly clusters stand on the images that they were found on.

use std::collections::BTreeSet;

use learngene_clustering::{cluster, dbscan_layer};
use learngene_format::{ClusterAlgorithm, Distances, LayerClusters};
use learngene_tensors::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::TuneSetting;
use crate::ImageDistances;

/// How often clusters come out again when the images are drawn anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stability {
    /// Resamples: as many images as there were, drawn from them with replacement.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// `[layer]`: its clusters, in order of priority.
    pub layers: Vec<Vec<ClusterStability>>,
}

/// How firmly one cluster stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterStability {
    /// Its heads, in head order.
    pub heads: Vec<usize>,
    /// Share of the resamples in which the very same heads are a cluster, 0 to 1.
    pub recurrence: f64,
    /// Mean over resamples of the greatest Jaccard index with a cluster there: heads in both, divided
    /// by heads in either; 0 to 1.
    pub jaccard: f64,
}

/// Draws the images of a probe with replacement, as many as there are, again and again, clusters by
/// the means of each draw, and counts how often the clusters of all images come out (Hennig,
/// "Cluster-wise assessment of cluster stability", 2007).
///
/// # Errors
/// Distances of other heads; fewer than two images, or no resample; eps and `min_points` that are
/// refused by [`ClusterParams::check`](learngene_clustering::ClusterParams::check); a list of eps of the wrong
/// length; a layer of which the setting keeps no head.
pub fn stability(
    images: &ImageDistances,
    distances: &Distances,
    setting: &TuneSetting,
    resamples: usize,
    seed: u64,
) -> Result<Stability> {
    let expected = distances.num_heads();
    if *images.num_heads() != expected {
        let (found, expected) = (format!("{:?}", images.num_heads()), format!("{expected:?}"));
        return Err(Error::invalid("heads of the images' distances", found, expected));
    }
    if images.images() < 2 {
        return Err(Error::invalid("images to draw from", images.images(), "at least 2"));
    }
    if resamples == 0 {
        return Err(Error::invalid("number of resamples", 0, "at least 1"));
    }
    let found = cluster(distances, &setting.cluster_params().check()?)?;
    let ClusterAlgorithm::Dbscan { eps, .. } = &found.algorithm else {
        unreachable!("settings are of DBSCAN")
    };
    let clusters: Vec<Vec<BTreeSet<usize>>> = found.layers.iter().map(sets).collect();
    let mut counts: Vec<Vec<(usize, f64)>> =
        clusters.iter().map(|layer| vec![(0, 0.0); layer.len()]).collect();

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..resamples {
        let count = images.images();
        let drawn: Vec<usize> = (0..count).map(|_| rng.random_range(0..count)).collect();
        for (layer, distances) in images.mean_of(&drawn).iter().enumerate() {
            let again = dbscan_layer(distances, eps[layer], setting.min_points, setting.noise);
            let again = again.as_ref().map(sets).unwrap_or_default();
            for (cluster, (same, jaccard)) in clusters[layer].iter().zip(&mut counts[layer]) {
                *same += usize::from(again.contains(cluster));
                *jaccard += again.iter().map(|other| index(cluster, other)).fold(0.0, f64::max);
            }
        }
    }
    let of_cluster = |(heads, (same, jaccard)): (BTreeSet<usize>, (usize, f64))| ClusterStability {
        heads: heads.into_iter().collect(),
        recurrence: same as f64 / resamples as f64,
        jaccard: jaccard / resamples as f64,
    };
    let of_layer = |(clusters, counts): (Vec<BTreeSet<usize>>, Vec<(usize, f64)>)| {
        clusters.into_iter().zip(counts).map(of_cluster).collect()
    };
    let layers = clusters.into_iter().zip(counts).map(of_layer).collect();
    Ok(Stability { resamples, seed, layers })
}

fn sets(layer: &LayerClusters) -> Vec<BTreeSet<usize>> {
    layer.clusters.iter().map(|label| layer.members(*label).into_iter().collect()).collect()
}

/// Jaccard's index of two sets, of which one is not empty.
fn index(a: &BTreeSet<usize>, b: &BTreeSet<usize>) -> f64 {
    a.intersection(b).count() as f64 / a.union(b).count() as f64
}

#[cfg(test)]
mod tests {
    use learngene_format::NoisePolicy;

    use super::*;
    use crate::test_ancestor::distances_of;

    fn setting(eps: f64) -> TuneSetting {
        TuneSetting { eps: vec![eps], min_points: 1, noise: NoisePolicy::Singleton, ffn_eps: None }
    }

    /// One layer of three heads on these images.
    fn images(distances: &[[f32; 3]]) -> ImageDistances {
        let mut images = ImageDistances::new(vec![3]);
        distances.iter().for_each(|image| images.push(image, 1));
        images
    }

    fn means(images: &ImageDistances) -> Distances {
        distances_of(images.mean_of(&(0..images.images()).collect::<Vec<_>>()))
    }

    fn stable(images: &ImageDistances, eps: f64, seed: u64) -> Vec<ClusterStability> {
        let found = stability(images, &means(images), &setting(eps), 400, seed);
        found.expect("good images").layers.remove(0)
    }

    #[test]
    fn heads_that_are_the_same_on_every_image_stay_together() {
        let found = stable(&images(&[[1.0, 2.0, 50.0]; 5]), 10.0, 0);
        let cluster = |heads: &[usize]| ClusterStability {
            heads: heads.to_vec(),
            recurrence: 1.0,
            jaccard: 1.0,
        };
        assert_eq!(found, [cluster(&[0, 1]), cluster(&[2])]);
    }

    /// Of two images, half of the draws are one of both; the mean of the first alone joins heads 1
    /// and 2 too, that of the second alone parts all.
    #[test]
    fn shares_are_those_of_the_draws() {
        let found = stable(&images(&[[0.0, 0.0, 8.0], [0.0, 16.0, 40.0]]), 10.0, 3);
        assert_eq!(found[0].heads, [0, 1]);
        assert_eq!(found[1].heads, [2]);
        let near = |got: f64, want: f64| assert!((got - want).abs() < 0.08, "{got}, {want}");
        near(found[0].recurrence, 0.5);
        // 1 in half of the draws, 2/3 and 1/2 in a quarter each.
        near(found[0].jaccard, 0.5 + (2.0 / 3.0 + 0.5) / 4.0);
        near(found[1].recurrence, 0.75);
        near(found[1].jaccard, 0.75 + 1.0 / 12.0);
    }

    #[test]
    fn the_seed_fixes_the_draws() {
        let images = images(&[[0.0, 0.0, 8.0], [0.0, 16.0, 40.0], [0.0, 9.0, 10.0]]);
        assert_eq!(stable(&images, 10.0, 3), stable(&images, 10.0, 3));
        assert_ne!(stable(&images, 10.0, 3), stable(&images, 10.0, 4));
    }

    #[test]
    fn nothing_to_draw_is_refused() {
        let refused = |images: &ImageDistances, resamples| {
            let found = stability(images, &means(images), &setting(10.0), resamples, 0);
            found.expect_err("refused").to_string()
        };
        let one = images(&[[1.0, 2.0, 3.0]]);
        assert_eq!(refused(&one, 9), "images to draw from: found 1, expected at least 2");
        let two = images(&[[1.0, 2.0, 3.0]; 2]);
        assert_eq!(refused(&two, 0), "number of resamples: found 0, expected at least 1");
    }
}
