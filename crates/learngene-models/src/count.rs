//! Exact counts of parameters and multiply-accumulates.

use crate::{LayerShape, ModelConfig};

/// Parameters of a model of this shape.
///
/// Counted from the shapes alone; equal to the sum over its checkpoint's tensors.
pub fn count_parameters(config: &ModelConfig) -> u64 {
    config.parameter_shapes().values().map(|shape| shape.iter().product::<usize>() as u64).sum()
}

/// Multiply-accumulates of one image's forward pass: every matrix product, those of attention
/// (`Q K^T` and `A V`) among them; additions of biases, norms and activations are not counted.
///
/// Counted as the papers do: the class token alone reaches a ViT's classifier, but all tokens pass
/// the whole last layer. ([`Vit`](crate::Vit) leaves out what nobody reads of that.)
pub fn count_macs(config: &ModelConfig) -> u64 {
    let patches = (config.image_size() / config.patch_size()).pow(2);
    let stem = patches * config.in_channels() * config.patch_size().pow(2) * config.embed_dim();
    let layers: usize = (0..config.depth())
        .map(|layer| {
            let (seq, keys) = config.tokens_and_keys(layer);
            let LayerShape { embed_dim, heads, mlp_hidden_dim, .. } = config.layer(layer);
            let projections = seq * embed_dim * 4 * heads.attention_dim();
            let attention = 2 * seq * keys * heads.attention_dim();
            let mlp = 2 * seq * embed_dim * mlp_hidden_dim;
            projections + attention + mlp
        })
        .sum();
    let merging: usize = match config {
        ModelConfig::Vit(_) => 0,
        ModelConfig::Swin(swin) => (1..swin.num_stages())
            .map(|stage| swin.resolution(stage).pow(2) * 2 * swin.stage_dim(stage).pow(2))
            .sum(),
    };
    (stem + layers + merging + config.num_features() * config.num_classes()) as u64
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{Classifier, SwinConfig, VitConfig};

    /// Parameters as timm counts them for its models of these names.
    #[test]
    fn presets_have_the_published_sizes() {
        let dinov2 = |name| VitConfig::preset(name).expect("a preset").into();
        let cases = [
            (VitConfig::deit_tiny().into(), 5_717_416),
            (VitConfig::deit_small().into(), 22_050_664),
            (VitConfig::deit_base().into(), 86_567_656),
            (VitConfig::vit_large().into(), 304_326_632),
            // Without two scales a layer, which are folded.
            (dinov2("vit_small_patch14_dinov2"), 22_056_192 - 12 * 2 * 384),
            (dinov2("vit_base_patch14_dinov2"), 86_579_712 - 12 * 2 * 768),
            (SwinConfig::swin_tiny().into(), 28_288_354),
            (SwinConfig::swin_small().into(), 49_606_258),
            (SwinConfig::swin_base().into(), 87_768_224),
        ];
        for (config, parameters) in cases {
            assert_eq!(count_parameters(&config), parameters);
        }
    }

    /// A layer by hand: 17 tokens of width 24, two heads of 8, MLP of 40.
    #[test]
    fn multiply_accumulates_include_attention_products() {
        let with = |heads: Vec<usize>| {
            let config = VitConfig::new(24, heads, 8, 40).with_image_size(16).with_patch_size(4);
            config.with_num_classes(5).into()
        };
        let one_layer = count_macs(&with(vec![2, 2])) - count_macs(&with(vec![2]));
        let by_hand = 17 * 24 * 48 + 17 * 16 * 24 // qkv and proj
            + 17 * 17 * 16 * 2 // both attention products
            + 17 * 24 * 40 * 2; // fc1 and fc2
        assert_eq!(one_layer, by_hand);
    }

    #[test]
    fn counted_parameters_are_those_of_the_module() {
        let config = VitConfig::new(24, vec![3, 1, 2], 8, 40)
            .with_image_size(16)
            .with_patch_size(4)
            .with_num_classes(5);
        let state = config.init(&Device::flex()).state_dict();
        assert_eq!(count_parameters(&config.into()), state.num_parameters() as u64);
    }
}
