//! Heads at random in place of those that density chose: a control.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    HeadClusters, LayerClusters,
    head_clusters::{by_priority, number_by_first_appearance},
};

impl HeadClusters {
    /// As many clusters of the same sizes, but of heads drawn at random instead of by density: what
    /// is kept then differs from the method's in nothing but which heads they are.
    ///
    /// The heads of each layer change places by a permutation drawn from the seed, every one as
    /// likely as any other; labels and representatives move with them, so that the heads kept are a
    /// uniform sample of the layer's.
    ///
    /// ```
    /// use learngene_clustering::{ClusterParams, MeanAttentionDistances, cluster};
    ///
    /// let distances = MeanAttentionDistances::new(vec![vec![10.0, 11.0, 40.0, 80.0]]);
    /// let clusters = cluster(&distances, &ClusterParams::dbscan(5.0).check()?)?;
    /// let random = clusters.clone().with_random_heads(7);
    /// assert_eq!(random.layers[0].sizes, clusters.layers[0].sizes);
    /// # Ok::<(), learngene_clustering::ClusteringError>(())
    /// ```
    #[must_use]
    pub fn with_random_heads(self, seed: u64) -> Self {
        let deal = |(layer, clusters): (usize, LayerClusters)| {
            let places = permutation(clusters.labels.len(), seed, layer as u64);
            clusters.moved(&places)
        };
        let layers = self.layers.into_iter().enumerate().map(deal).collect();
        Self { layers, random_heads: Some(seed), ..self }
    }
}

impl LayerClusters {
    /// The same clusters where head h has moved to `places[h]`.
    fn moved(&self, places: &[usize]) -> Self {
        let mut partition = vec![None; places.len()];
        for (label, place) in self.labels.iter().zip(places) {
            partition[*place] = *label;
        }
        let labels = number_by_first_appearance(&partition);
        let (clusters, sizes) = by_priority(&labels);
        let moved: Vec<usize> = self.representatives.iter().map(|head| places[*head]).collect();
        let of = |label: &usize| moved.iter().copied().find(|head| labels[*head] == Some(*label));
        let representatives = clusters.iter().filter_map(of).collect();
        Self { labels, clusters, sizes, representatives }
    }
}

/// A permutation of so many things, by Fisher and Yates, from a stream of the seed's.
fn permutation(count: usize, seed: u64, stream: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut places: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        // The remainder of 64 bits favours no head by more than one in 2^50.
        let other = rng.next_u64() % (last as u64 + 1);
        places.swap(last, other as usize);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cluster::ClusterParams, json};

    fn of_layers(layers: Vec<LayerClusters>) -> HeadClusters {
        HeadClusters {
            layers,
            parameters: ClusterParams::dbscan(10.0),
            random_heads: None,
            ffn: None,
            convention: None,
            images: None,
            images_sha256: None,
            ancestor_sha256: None,
            producer: None,
        }
    }

    /// Sizes, and with them the number of heads kept, stay; every layer draws for itself.
    #[test]
    fn random_heads_are_as_many() {
        let layer = LayerClusters::new(&[0, 0, 1, 1, 1, 2, 3, 4].map(Some), &[0.0; 8]);
        let clusters = of_layers(vec![layer.clone(); 3]);
        let dealt = |seed| clusters.clone().with_random_heads(seed);
        for seed in 0..20 {
            let random = dealt(seed);
            random.check().expect("clusters like any other");
            assert!(random.layers.iter().all(|random| random.sizes == layer.sizes));
            assert_eq!(random.random_heads, Some(seed));
        }
        assert_eq!(dealt(3), dealt(3));
        assert_ne!(dealt(3).layers, dealt(4).layers);
        assert_ne!(dealt(3).layers[0], dealt(3).layers[1]);
        let text = json::to_json(&dealt(3)).expect("valid clusters");
        assert_eq!(serde_json::from_str::<HeadClusters>(&text).expect("own text"), dealt(3));
    }

    #[test]
    fn noise_that_was_dropped_is_random_too() {
        let layer = LayerClusters::new(&[Some(0), Some(1), None, Some(1)], &[0.0; 4]);
        let random = of_layers(vec![layer]).with_random_heads(1).layers.remove(0);
        assert_eq!(random.labels.iter().filter(|label| label.is_none()).count(), 1);
        assert_eq!(random.sizes, [2, 1]);
    }

    /// Of 4,000 draws of 5 heads of 8 each head is in 2,500; the standard deviation is 31.
    #[test]
    fn every_head_is_kept_equally_often() {
        let layer = LayerClusters::new(&[0, 0, 1, 1, 1, 2, 3, 4].map(Some), &[0.0; 8]);
        let mut kept = [0; 8];
        for seed in 0..4000 {
            let random = layer.moved(&permutation(8, seed, 0));
            random.representatives.iter().for_each(|head| kept[*head] += 1);
        }
        assert!(kept.iter().all(|count| (2375..2625).contains(count)), "{kept:?}");
    }
}
