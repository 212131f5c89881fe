//! Exact counts of parameters and multiply-accumulates.

use crate::VitConfig;

/// Parameters of a model of this shape.
///
/// Counted from the shapes alone; equal to the sum over its checkpoint's tensors.
pub fn count_parameters(config: &VitConfig) -> u64 {
    let embed = config.embed_dim;
    let patch = config.in_channels * config.patch_size.pow(2);
    let linear = |d_input: usize, d_output: usize| d_input * d_output + d_output;
    let norm = 2 * embed;

    let stem = linear(patch, embed) + embed + (1 + config.num_patches()) * embed;
    let layers: usize = (0..config.depth())
        .map(|layer| {
            let heads = config.head_layout(layer).attention_dim();
            let attention = linear(embed, 3 * heads) + linear(heads, embed);
            let mlp = linear(embed, config.mlp_hidden_dim) + linear(config.mlp_hidden_dim, embed);
            2 * norm + attention + mlp
        })
        .sum();
    let head = if config.num_classes > 0 { linear(embed, config.num_classes) } else { 0 };
    (stem + layers + norm + head) as u64
}

/// Multiply-accumulates of one image's forward pass: every matrix product, those of attention
/// (`Q K^T` and `A V`) among them; additions of biases, norms and activations are not counted.
///
/// Counted as the papers do: the class token alone reaches the classifier, but all tokens pass the
/// whole last layer. ([`Vit`](crate::Vit) leaves out what nobody reads of that.)
pub fn count_macs(config: &VitConfig) -> u64 {
    let embed = config.embed_dim;
    let seq = 1 + config.num_patches();
    let stem = config.num_patches() * config.in_channels * config.patch_size.pow(2) * embed;
    let layers: usize = (0..config.depth())
        .map(|layer| {
            let heads = config.head_layout(layer).attention_dim();
            let projections = seq * embed * 4 * heads;
            let attention = 2 * seq * seq * heads;
            let mlp = 2 * seq * embed * config.mlp_hidden_dim;
            projections + attention + mlp
        })
        .sum();
    (stem + layers + embed * config.num_classes) as u64
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::Classifier;

    /// Parameters as timm counts them for its models of these names.
    #[test]
    fn presets_have_the_published_sizes() {
        let cases = [
            (VitConfig::deit_tiny(), 5_717_416),
            (VitConfig::deit_small(), 22_050_664),
            (VitConfig::deit_base(), 86_567_656),
        ];
        for (config, parameters) in cases {
            assert_eq!(count_parameters(&config), parameters);
        }
    }

    /// A layer by hand: 17 tokens of width 24, two heads of 8, MLP of 40.
    #[test]
    fn multiply_accumulates_include_attention_products() {
        let with = |heads: Vec<usize>| {
            VitConfig::new(24, heads, 8, 40)
                .with_image_size(16)
                .with_patch_size(4)
                .with_num_classes(5)
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
        assert_eq!(count_parameters(&config), state.num_parameters() as u64);
    }
}
