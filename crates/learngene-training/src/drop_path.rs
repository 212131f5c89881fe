//! Stochastic depth: drops residual branches at random while a model trains.
//!
//! Source: Huang et al., 2016, <https://arxiv.org/abs/1603.09382>; rates and factors as in timm: 0
//! in the first layer, growing linearly to the full rate in the last, drawn for each image.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Separates these draws from those of the order of images, whose streams depend on the epoch too.
const DROP_PATH: u64 = 0x6472_6f70_7061_7468;

/// Rates of stochastic depth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DropPath {
    /// Rate of the last layer, in [0, 1).
    pub(crate) rate: f64,
    /// Layers of the model.
    pub(crate) layers: usize,
}

impl DropPath {
    /// Factors of every layer for a batch; `None` for a rate of 0. They depend on the seed, the epoch
    /// and the index of the batch's first image in it.
    pub(crate) fn draw(
        self,
        batch: usize,
        seed: u64,
        (epoch, first): (usize, usize),
    ) -> Option<Vec<Factors>> {
        if self.rate == 0.0 {
            return None;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ DROP_PATH);
        rng.set_stream((epoch as u64) << 32 | first as u64);
        let mut branch = |rate: f64| (0..batch).map(|_| factor(&mut rng, rate)).collect();
        let layers = (0..self.layers).map(|layer| {
            let rate = self.rate * layer as f64 / self.layers.saturating_sub(1).max(1) as f64;
            Factors { attention: branch(rate), mlp: branch(rate) }
        });
        Some(layers.collect())
    }
}

/// Factors of the two residual branches of one layer, one for each image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Factors {
    pub(crate) attention: Vec<f32>,
    pub(crate) mlp: Vec<f32>,
}

impl Factors {
    /// The factors of some of the images.
    pub(crate) fn of(&self, images: Range<usize>) -> Self {
        Self { attention: self.attention[images.clone()].to_vec(), mlp: self.mlp[images].to_vec() }
    }
}

/// 0 with probability `rate`, otherwise `1 / (1 - rate)`, so that the mean is 1.
fn factor(rng: &mut ChaCha8Rng, rate: f64) -> f32 {
    let uniform = rng.next_u32() as f64 / 2f64.powi(32);
    if uniform < rate { 0.0 } else { (1.0 / (1.0 - rate)) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(rate: f64, place: (usize, usize)) -> Option<Vec<Vec<f32>>> {
        let drop_path = DropPath { rate, layers: 3 };
        let drawn = drop_path.draw(4000, 7, place)?;
        Some(drawn.into_iter().flat_map(|layer| [layer.attention, layer.mlp]).collect())
    }

    #[test]
    fn rates_grow_from_zero_and_means_stay_one() {
        let drawn = factors(0.4, (1, 0)).expect("a rate above zero");
        for (branch, rate) in drawn.iter().zip([0.0, 0.0, 0.2, 0.2, 0.4, 0.4]) {
            let dropped = branch.iter().filter(|factor| **factor == 0.0).count() as f64 / 4000.0;
            let mean = branch.iter().sum::<f32>() / 4000.0;
            // Four standard errors of 4000 draws.
            assert!((dropped - rate).abs() <= 0.032, "{dropped} of {rate}");
            assert!((mean - 1.0).abs() < 0.06, "{mean}");
        }
        assert_ne!(drawn[4], drawn[5], "the branches of a layer are drawn separately");
    }

    #[test]
    fn draws_depend_on_seed_epoch_and_batch() {
        assert_eq!(factors(0.2, (2, 64)), factors(0.2, (2, 64)));
        assert_ne!(factors(0.2, (2, 64)), factors(0.2, (2, 128)));
        assert_ne!(factors(0.2, (2, 64)), factors(0.2, (3, 64)));
        assert_eq!(factors(0.0, (1, 0)), None);
    }
}
