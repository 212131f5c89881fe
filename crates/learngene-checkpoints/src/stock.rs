//! What the published implementations can hold: timm's, those of the papers' repositories and
//! transformers', whose layers differ from stage to stage alone.

use crate::{LayerShape, ModelConfig, SwinConfig};

/// Why no published implementation has a model of this shape; none where they have.
pub fn obstacle(config: &ModelConfig) -> Option<String> {
    for layers in config.stages() {
        let first = layers.start;
        let LayerShape { embed_dim, heads, .. } = config.layer(first);
        let num_heads = |layer| config.layer(layer).heads.num_heads;
        if let Some(other) = layers.into_iter().find(|layer| num_heads(*layer) != heads.num_heads) {
            let (heads, others) = (heads.num_heads, num_heads(other));
            return Some(format!("layer {first} has {heads} heads, layer {other} has {others}"));
        }
        if heads.attention_dim() != embed_dim {
            let (heads, width) = (heads.num_heads, heads.head_dim);
            return Some(format!(
                "{heads} heads of width {width} are not as wide as its embed_dim of {embed_dim}"
            ));
        }
    }
    match config {
        ModelConfig::Swin(swin) if mlp_ratio(swin).is_none() => Some(format!(
            "hidden widths of {:?} are not one ratio to the widths of its stages",
            swin.mlp_hidden_dim
        )),
        _ => None,
    }
}

/// Hidden width of a Swin's feed-forward networks divided by the width of their stage, where that is
/// one number.
pub(super) fn mlp_ratio(config: &SwinConfig) -> Option<f64> {
    let exact = *config.mlp_hidden_dim.first()? as f64 / config.embed_dim as f64;
    // Implementations round the product down.
    let hidden = |ratio: f64, stage| (ratio * config.stage_dim(stage) as f64) as usize;
    let stages = || config.mlp_hidden_dim.iter().copied().enumerate();
    [exact, exact.next_up()]
        .into_iter()
        .find(|ratio| stages().all(|(stage, want)| hidden(*ratio, stage) == want))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VitConfig;

    fn check(config: impl Into<ModelConfig>, want: Option<&str>) {
        assert_eq!(obstacle(&config.into()).as_deref(), want);
    }

    fn swin(num_heads: Vec<Vec<usize>>, mlp_hidden_dim: [usize; 2]) -> SwinConfig {
        SwinConfig::new(24, num_heads, vec![8, 8], mlp_hidden_dim.into())
    }

    #[test]
    fn presets_have_none() {
        for config in ModelConfig::presets().filter_map(ModelConfig::preset) {
            check(config, None);
        }
    }

    #[test]
    fn layers_of_a_stage_that_differ() {
        let uneven = VitConfig::new(24, vec![3, 2], 8, 40);
        check(uneven, Some("layer 0 has 3 heads, layer 1 has 2"));
        let uneven = swin(vec![vec![3], vec![6, 6, 4]], [40, 80]);
        check(uneven, Some("layer 1 has 6 heads, layer 3 has 4"));
    }

    #[test]
    fn heads_of_another_width_than_the_tokens() {
        let narrow = VitConfig::new(24, vec![2, 2], 8, 40);
        check(narrow, Some("2 heads of width 8 are not as wide as its embed_dim of 24"));
        let narrow = swin(vec![vec![3], vec![5]], [40, 80]);
        check(narrow, Some("5 heads of width 8 are not as wide as its embed_dim of 48"));
    }

    #[test]
    fn hidden_widths_of_several_ratios() {
        check(swin(vec![vec![3], vec![6]], [40, 80]), None);
        let message = "hidden widths of [40, 81] are not one ratio to the widths of its stages";
        check(swin(vec![vec![3], vec![6]], [40, 81]), Some(message));
    }

    /// Whatever the hidden width, rounding down gives it back.
    #[test]
    fn a_ratio_gives_back_the_widths_it_was_made_of() {
        for (dim, hidden) in (1..130).flat_map(|dim| (1..300).map(move |hidden| (dim, hidden))) {
            let config =
                SwinConfig::new(dim, vec![vec![1]; 2], vec![1; 2], vec![hidden, 2 * hidden]);
            assert!(mlp_ratio(&config).is_some(), "{hidden} of {dim}");
        }
    }
}
