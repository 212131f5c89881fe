//! Heads at random in place of those that clustering chose: a control.

use learngene_format::{HeadClusters, LayerClusters};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// As many clusters of the same sizes, but of heads drawn at random: what is kept then differs from the method's in nothing but which heads they are.
///
/// The heads of each layer change places by a permutation drawn from the seed, every one as likely as
/// any other; labels and representatives move with them, so that the heads kept are a uniform sample of
/// the layer's.
#[must_use]
pub fn with_random_heads(clusters: HeadClusters, seed: u64) -> HeadClusters {
    let deal = |(layer, clusters): (usize, LayerClusters)| {
        moved(&clusters, &permutation(clusters.labels.len(), seed, layer as u64))
    };
    let layers = clusters.layers.into_iter().enumerate().map(deal).collect();
    HeadClusters { layers, random_heads: Some(seed), ..clusters }
}

/// The same clusters where head h has moved to `places[h]`.
fn moved(clusters: &LayerClusters, places: &[usize]) -> LayerClusters {
    let mut labels = vec![None; places.len()];
    for (label, place) in clusters.labels.iter().zip(places) {
        labels[*place] = *label;
    }
    let representatives: Vec<usize> =
        clusters.representatives.iter().map(|head| places[*head]).collect();
    LayerClusters::new(&labels, |members| {
        let representative = members.iter().find(|head| representatives.contains(head));
        *representative.expect("each cluster has one")
    })
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
    use crate::ClusterParams;

    fn layer(labels: &[Option<usize>]) -> LayerClusters {
        LayerClusters::new(labels, |members| members[0])
    }

    fn of_layers(layers: Vec<LayerClusters>) -> HeadClusters {
        let ClusterParams { algorithm, representative } =
            ClusterParams::dbscan(vec![10.0; layers.len()]);
        HeadClusters { algorithm, representative, random_heads: None, layers }
    }

    /// Sizes, and with them the number of heads kept, stay; every layer draws for itself.
    #[test]
    fn random_heads_are_as_many() {
        let layer = layer(&[0, 0, 1, 1, 1, 2, 3, 4].map(Some));
        let clusters = of_layers(vec![layer.clone(); 3]);
        let dealt = |seed| with_random_heads(clusters.clone(), seed);
        for seed in 0..20 {
            let random = dealt(seed);
            random.check().expect("clusters like any other");
            assert!(random.layers.iter().all(|random| random.sizes == layer.sizes));
            assert_eq!(random.random_heads, Some(seed));
        }
        assert_eq!(dealt(3), dealt(3));
        assert_ne!(dealt(3).layers, dealt(4).layers);
        assert_ne!(dealt(3).layers[0], dealt(3).layers[1]);
    }

    /// The heads that seeds have drawn since they were first offered.
    #[test]
    fn a_seed_always_draws_the_same_heads() {
        let clusters = of_layers(vec![layer(&[0, 0, 1, 1, 1, 2, 3, 4].map(Some)); 2]);
        let random = with_random_heads(clusters, 7);
        let kept: Vec<_> =
            random.layers.iter().map(|layer| layer.representatives.as_slice()).collect();
        assert_eq!(kept, [[6, 4, 2, 3, 7], [3, 0, 1, 4, 7]]);
    }

    #[test]
    fn noise_that_was_dropped_is_random_too() {
        let clusters = of_layers(vec![layer(&[Some(0), Some(1), None, Some(1)])]);
        let random = with_random_heads(clusters, 1).layers.remove(0);
        assert_eq!(random.labels.iter().filter(|label| label.is_none()).count(), 1);
        assert_eq!(random.sizes, [2, 1]);
    }

    /// Of 4,000 draws of 5 heads of 8 each head is in 2,500; the standard deviation is 31.
    #[test]
    fn every_head_is_kept_equally_often() {
        let layer = layer(&[0, 0, 1, 1, 1, 2, 3, 4].map(Some));
        let mut kept = [0; 8];
        for seed in 0..4000 {
            let random = moved(&layer, &permutation(8, seed, 0));
            random.representatives.iter().for_each(|head| kept[*head] += 1);
        }
        assert!(kept.iter().all(|count| (2375..2625).contains(count)), "{kept:?}");
    }
}
