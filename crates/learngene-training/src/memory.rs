//! How many images of a batch fit into a device's memory.

use learngene_shape::Shape;

use crate::Recipe;

/// Part of the memory that a run may fill. The rest is for other programs, for loading images and for
/// what the estimate misses.
const USABLE: f64 = 0.6;

/// Copies of the parameters: the parameters, their gradients, AdamW's two moments, and one that is
/// being replaced.
const COPIES: u64 = 5;
const BYTES: u64 = size_of::<f32>() as u64;

/// The largest micro-batch that fits into that many bytes: at least one image, at most the batch.
///
/// The estimate follows from the shapes. Of every layer the backward pass needs two norms, two sums
/// and the output of the attention (each as wide as the tokens), query, key, value and their result,
/// both sides of the FFN's activation, and the attention weights before and after the softmax.
/// [Gradient checkpointing](Recipe::gradient_checkpointing) keeps the input of each layer and
/// everything of the largest one.
fn images_that_fit(shape: &Shape, recipe: &Recipe, memory: u64) -> usize {
    let ema = u64::from(recipe.ema_decay > 0.0);
    let fixed = shape.count_parameters() * (COPIES + ema) * BYTES;
    let free = (memory as f64 * USABLE) as u64;
    let images = free.saturating_sub(fixed) / (kept_values(shape, recipe) * BYTES).max(1);
    usize::try_from(images).unwrap_or(usize::MAX).clamp(1, recipe.batch_size.max(1))
}

/// Values that a step keeps of one image until its backward pass.
fn kept_values(shape: &Shape, recipe: &Recipe) -> u64 {
    let layers = shape.layers().iter().map(|layer| {
        let (seq, keys) = (layer.field.tokens(), layer.field.keys());
        let hidden = (layer.ffn.kind.parts() + 1) * layer.ffn.hidden_dim;
        let wide = 5 * layer.embed_dim + 4 * layer.heads.attention_dim() + hidden;
        let inside = seq * wide + 2 * layer.heads.num_heads * seq * keys;
        (inside as u64, (seq * layer.embed_dim) as u64)
    });
    if recipe.gradient_checkpointing {
        let largest = layers.clone().map(|(inside, _)| inside).max().unwrap_or_default();
        largest + layers.map(|(_, input)| input).sum::<u64>()
    } else {
        layers.map(|(inside, _)| inside).sum()
    }
}

impl Recipe {
    /// The same recipe for a model on devices with that many bytes each: where `micro_batch_size` is
    /// 0, it becomes the number of images that fit by an estimate from the shapes.
    pub fn within(self, shape: &Shape, memory: u64) -> Self {
        match self.micro_batch_size {
            0 => Self { micro_batch_size: images_that_fit(shape, &self, memory), ..self },
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deit_base() -> Shape {
        Shape::preset("deit_base_patch16_224").expect("a preset")
    }

    /// DeiT-B with fused operations on a CPU takes 115 MiB more for each image from 4 to 8 images
    /// (`learngene bench`). It keeps no attention weights, twice 12 x 12 x 197 x 197 values, which are
    /// 43 MiB.
    #[test]
    fn an_image_of_deit_base_takes_what_was_measured() {
        let kept = kept_values(&deit_base(), &Recipe::default()) * BYTES;
        let mib = kept as f64 / f64::from(1 << 20);
        assert!((115.0..200.0).contains(&mib), "{mib} MiB an image");
    }

    /// Checks the micro-batch of DeiT-B, of a batch of 64, in that many GiB.
    #[track_caller]
    fn check(gibibytes: u64, checkpointing: bool, expected: std::ops::RangeInclusive<usize>) {
        let recipe =
            Recipe { batch_size: 64, gradient_checkpointing: checkpointing, ..Recipe::default() };
        let images = recipe.within(&deit_base(), gibibytes << 30).micro_batch_size;
        assert!(expected.contains(&images), "{images} images in {gibibytes} GiB");
    }

    #[test]
    fn more_memory_takes_more_images() {
        check(80, false, 64..=64);
        check(8, false, 10..=30);
        check(8, true, 64..=64);
        check(1, false, 1..=1); // One image is always tried.
    }
}
