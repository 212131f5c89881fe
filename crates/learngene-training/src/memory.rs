//! How many images of a batch a device can take at once.

use learngene_models::{ModelConfig, count_parameters};

use crate::Recipe;

/// Share of the memory that a run may fill: the rest is for what else runs there, for loading images
/// and for what an estimate forgets.
const SHARE: f64 = 0.6;
/// Copies of the parameters: themselves, gradients, two moments of AdamW, and what is made new while
/// the old one is there.
const COPIES: u64 = 5;
const BYTES: u64 = size_of::<f32>() as u64;

/// The most images that a pass over a model may take where a device holds so many bytes: at least one,
/// at most the batch.
///
/// An estimate from the shapes: of every layer the backward pass wants two norms, two sums and the
/// output of the attention (each as wide as the tokens), query, key, value and their result, both sides
/// of the GELU, and the weights of attention before and after the softmax.
/// [Gradient checkpointing](Recipe::gradient_checkpointing) keeps what goes into each layer and all of
/// the largest one.
pub fn images_that_fit(config: &ModelConfig, recipe: &Recipe, memory: u64) -> usize {
    let ema = u64::from(recipe.ema_decay > 0.0);
    let fixed = count_parameters(config) * (COPIES + ema) * BYTES;
    let free = (memory as f64 * SHARE) as u64;
    let images = free.saturating_sub(fixed) / (kept_values(config, recipe) * BYTES).max(1);
    usize::try_from(images).unwrap_or(usize::MAX).clamp(1, recipe.batch_size.max(1))
}

/// Values that a step keeps of one image until its backward pass.
fn kept_values(config: &ModelConfig, recipe: &Recipe) -> u64 {
    let layers = (0..config.depth()).map(|layer| {
        let shape = config.layer(layer);
        let (seq, keys) = config.tokens_and_keys(layer);
        let wide = 5 * shape.embed_dim + 4 * shape.heads.attention_dim() + 2 * shape.mlp_hidden_dim;
        let inside = seq * wide + 2 * shape.heads.num_heads * seq * keys;
        (inside as u64, (seq * shape.embed_dim) as u64)
    });
    if recipe.gradient_checkpointing {
        let largest = layers.clone().map(|(inside, _)| inside).max().unwrap_or_default();
        largest + layers.map(|(_, input)| input).sum::<u64>()
    } else {
        layers.map(|(inside, _)| inside).sum()
    }
}

#[cfg(test)]
mod tests {
    use learngene_models::VitConfig;

    use super::*;

    /// DeiT-B with fused operations on a CPU: 115 MiB an image more from 4 to 8 images (`learngene
    /// bench`), which keeps no weights of attention: twice 12 x 12 x 197 x 197 values, 43 MiB, less.
    #[test]
    fn an_image_of_deit_base_takes_what_was_measured() {
        let kept = kept_values(&VitConfig::deit_base().into(), &Recipe::default()) * BYTES;
        let mib = kept as f64 / f64::from(1 << 20);
        println!("{mib:.0} MiB an image");
        assert!((115.0..200.0).contains(&mib), "{mib} MiB an image");
    }

    /// Checks the images for DeiT-B and a batch of 64 in so many GiB.
    #[track_caller]
    fn check(
        gibibytes: u64,
        gradient_checkpointing: bool,
        wanted: std::ops::RangeInclusive<usize>,
    ) {
        let recipe = Recipe { batch_size: 64, gradient_checkpointing, ..Recipe::default() };
        let images = images_that_fit(&VitConfig::deit_base().into(), &recipe, gibibytes << 30);
        assert!(wanted.contains(&images), "{images} images in {gibibytes} GiB");
    }

    #[test]
    fn a_large_memory_takes_the_whole_batch() {
        check(80, false, 64..=64);
    }

    #[test]
    fn a_small_memory_takes_a_part_of_the_batch() {
        check(8, false, 10..=30);
    }

    #[test]
    fn checkpointing_takes_more_images() {
        check(8, true, 64..=64);
    }

    #[test]
    fn one_image_is_tried_wherever_it_may_fit() {
        check(1, false, 1..=1);
    }
}
