//! A Swin's learngene and its descendants.

use super::support::{Condensing, difference, logits, random_parameters, tiny, tiny_swin};
use crate::{
    ClassifierPolicy, DescendantConfig, ExpansionError, HeadPolicy, LayerPolicy, NewLayers,
    ancestor_config, expand, pretraining_finetuning,
};

fn inherit_all() -> DescendantConfig {
    DescendantConfig { classifier: ClassifierPolicy::Inherit, ..Default::default() }
}

#[test]
fn with_nothing_joined_the_descendant_is_the_ancestor() {
    let ancestor = tiny_swin();
    let parameters = random_parameters(&ancestor);
    let learngene = Condensing::nothing_joined(&ancestor).condense(&ancestor, &parameters);
    assert_eq!(ancestor_config(&learngene), ancestor);
    let descendant = expand(&learngene, &inherit_all()).expect("as large as the ancestor");
    assert_eq!(descendant.parameters, parameters);
    assert_eq!(descendant.inherited_parameters, parameters.num_parameters() as u64);
    let whole = pretraining_finetuning(&parameters, &ancestor, &inherit_all()).expect("the same");
    assert_eq!(whole.parameters, parameters);
}

#[test]
fn eight_copies_of_every_head_are_the_ancestors_function() {
    let ancestor = tiny_swin();
    let parameters = random_parameters(&ancestor);
    let learngene = Condensing::nothing_joined(&ancestor).condense(&ancestor, &parameters);
    let heads = "w=1/8".parse().expect("a ratio");
    let descendant = expand(&learngene, &DescendantConfig { heads, ..inherit_all() });
    let descendant = descendant.expect("any number of heads");
    let got = logits(&descendant.config, &descendant.parameters);
    let worst = difference(&got, &logits(&ancestor, &parameters));
    assert!(worst <= 1e-5, "logits differ by {worst}");
}

#[test]
fn layers_come_from_their_own_stage() {
    let ancestor = tiny_swin();
    let parameters = random_parameters(&ancestor);
    let learngene = Condensing::nothing_joined(&ancestor).condense(&ancestor, &parameters);
    let wanted = DescendantConfig {
        depth: "3,2".parse().expect("a depth"),
        layers: LayerPolicy::Even,
        heads: HeadPolicy::Count(2),
        ..Default::default()
    };
    let descendant = expand(&learngene, &wanted).expect("a possible descendant");
    assert_eq!(descendant.layers, [0, 0, 1, 2, 2].map(Some));
    let values = |name: &str| descendant.parameters.get(name).map(|tensor| &tensor.values);
    let of_ancestor = |name: &str| parameters.get(name).map(|tensor| &tensor.values);
    let pairs = [
        ("layers.0.blocks.1.norm1.weight", "layers.0.blocks.0.norm1.weight"),
        ("layers.0.blocks.2.mlp.fc2.bias", "layers.0.blocks.1.mlp.fc2.bias"),
        ("layers.1.blocks.1.norm2.bias", "layers.1.blocks.0.norm2.bias"),
        ("layers.1.downsample.reduction.weight", "layers.1.downsample.reduction.weight"),
    ];
    for (to, from) in pairs {
        assert_eq!(values(to), of_ancestor(from), "{to}");
    }
}

/// New layers that start as the identity change nothing.
#[test]
fn growing_can_keep_the_function() {
    for (ancestor, depth) in [(tiny(), "7"), (tiny_swin(), "4,3")] {
        let parameters = random_parameters(&ancestor);
        let learngene = Condensing::nothing_joined(&ancestor).condense(&ancestor, &parameters);
        let grown = |new_layers, layers| {
            let depth = depth.parse().expect("a depth");
            let wanted = DescendantConfig { depth, new_layers, layers, ..inherit_all() };
            let descendant = expand(&learngene, &wanted).expect("any depth");
            logits(&descendant.config, &descendant.parameters)
        };
        let wanted = logits(&ancestor, &parameters);
        // A Swin's shifted windows alternate, so its layers must keep their parity.
        let kept = difference(&grown(NewLayers::Identity, LayerPolicy::Front), &wanted);
        assert!(kept <= 1e-5, "logits differ by {kept}");
        let copied = difference(&grown(NewLayers::Copy, LayerPolicy::Front), &wanted);
        assert!(copied > 1e-3, "logits differ by {copied} only");
    }
}

#[test]
fn a_single_number_is_no_depth_of_two_stages() {
    let ancestor = tiny_swin();
    let learngene =
        Condensing::nothing_joined(&ancestor).condense(&ancestor, &random_parameters(&ancestor));
    let error = expand(&learngene, &DescendantConfig { depth: 3.into(), ..Default::default() });
    assert_eq!(error.err(), Some(ExpansionError::StageCount { got: 1, depths: vec![2, 1] }));
}
