//! Exact counts of parameters and multiply-accumulates.

use crate::{Axis, Parameter, Place, Shape};

impl Shape {
    /// Parameters of the model; equal to the sum over its checkpoint's tensors.
    pub fn count_parameters(&self) -> u64 {
        self.parameters().iter().map(|parameter| parameter.count() as u64).sum()
    }

    /// Multiply-accumulates of one image's forward pass: every matrix product, those of attention
    /// (`Q K^T` and `A V`) among them; additions of biases, norms and activations are not counted.
    ///
    /// Counted as the papers do: the class token alone reaches a ViT's classifier, but all tokens
    /// pass the whole last layer. [`u64::MAX`] stands for more than that.
    pub fn count_macs(&self) -> u64 {
        let products = self.parameters().into_iter().filter(is_product);
        let products = products.map(|p| product(&[self.times_used(p.place), p.count()]));
        let attention = self.layers().iter().map(|layer| {
            product(&[2, layer.field.tokens(), layer.field.keys(), layer.heads.attention_dim()])
        });
        products.chain(attention).fold(0, u64::saturating_add)
    }

    /// Tokens of an image that a matrix at a place is multiplied with.
    fn times_used(&self, place: Place) -> usize {
        match place {
            Place::Stem => self.layer(0).field.resolution.pow(2),
            Place::Merging { stage } => self.layer(self.stages()[stage].start).field.tokens(),
            Place::Layer { layer, .. } => self.layer(layer).field.tokens(),
            Place::FinalNorm | Place::Classifier => 1,
        }
    }
}

/// The largest possible model has more multiply-accumulates than a `u64` can hold.
fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor as u64))
}

/// Whether tokens are multiplied with a parameter: a linear weight, or the patches' convolution.
fn is_product(parameter: &Parameter) -> bool {
    let is_embedding = |axis: &Axis| matches!(axis, Axis::Grid { .. } | Axis::Window { .. });
    let axes = &parameter.axes;
    matches!(axes.len(), 2 | 4) && !axes.iter().any(is_embedding)
}

#[cfg(test)]
mod tests {
    use crate::{Family, MAX_DEPTH, MAX_HEADS, MAX_IMAGE_SIZE, MAX_WIDTH, Shape, Vit};

    /// Parameters as timm counts them for its models of these names.
    #[test]
    fn presets_have_the_published_sizes() {
        let cases = [
            ("deit_tiny_patch16_224", 5_717_416),
            ("deit_small_patch16_224", 22_050_664),
            ("deit_base_patch16_224", 86_567_656),
            ("vit_large_patch16_224", 304_326_632),
            // Without two scales a layer, which are folded.
            ("vit_small_patch14_dinov2", 22_056_192 - 12 * 2 * 384),
            ("vit_base_patch14_dinov2", 86_579_712 - 12 * 2 * 768),
            ("swin_tiny_patch4_window7_224", 28_288_354),
            ("swin_small_patch4_window7_224", 49_606_258),
            ("swin_base_patch4_window7_224", 87_768_224),
        ];
        for (name, parameters) in cases {
            let shape = Shape::preset(name).expect(name);
            assert_eq!(shape.count_parameters(), parameters, "{name}");
        }
    }

    /// As published: 1.3 and 17.6 GMACs of DeiT, 4.5 of Swin-T.
    #[test]
    fn presets_have_the_published_costs() {
        let giga = |name| Shape::preset(name).expect(name).count_macs() as f64 / 1e9;
        assert!((giga("deit_tiny_patch16_224") - 1.26).abs() < 0.02);
        assert!((giga("deit_base_patch16_224") - 17.57).abs() < 0.02);
        assert!((giga("swin_tiny_patch4_window7_224") - 4.51).abs() < 0.02);
    }

    #[test]
    fn counts_of_the_largest_model_do_not_overflow() {
        let heads = vec![MAX_HEADS; MAX_DEPTH];
        let vit = Vit::new(MAX_WIDTH, heads, MAX_WIDTH, vec![MAX_WIDTH; MAX_DEPTH]);
        let vit = Vit { image_size: MAX_IMAGE_SIZE, patch_size: 1, ..vit };
        let shape = vit.shape().expect("within the limits");
        assert_eq!(shape.count_macs(), u64::MAX);
        assert!(shape.count_parameters() > 1 << 54, "{}", shape.count_parameters());
    }

    /// A layer by hand: 17 tokens of width 24, two heads of 8, FFN of 40.
    #[test]
    fn multiply_accumulates_include_attention_products() {
        let macs = |depth: usize| {
            let vit = Vit::new(24, vec![2; depth], 8, vec![40; depth]);
            let vit = Vit { image_size: 16, patch_size: 4, num_classes: 5, ..vit };
            vit.shape().expect("possible").count_macs()
        };
        let by_hand = 17 * 24 * 48 + 17 * 16 * 24 // qkv and proj
            + 17 * 17 * 16 * 2 // both attention products
            + 17 * 24 * 40 * 2; // fc1 and fc2
        assert_eq!(macs(2) - macs(1), by_hand);
    }
}
