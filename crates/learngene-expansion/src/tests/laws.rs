//! When a descendant computes what its ancestor does. Most fail with the paper's published code.

use learngene_format::Learngene;
use learngene_shape::{Family, Vit};

use super::{
    forward::{distance, logits},
    support::{
        Condensing, config, expanded, inherit_all, random_parameters, tiny, tiny_swin, tiny_vit,
        whole,
    },
};
use crate::{DescendantConfig, HeadPolicy, LayerPolicy, NewLayers, Order, ProjectionPolicy};

#[test]
fn the_order_of_heads_makes_no_difference() {
    let (parameters, learngene) = whole(&tiny());
    let ancestor = logits(&tiny(), &parameters);
    for order in [Order::Priority, Order::Increasing, Order::Decreasing] {
        let descendant = expanded(&learngene, &DescendantConfig { order, ..inherit_all() });
        let worst = distance(&descendant, &ancestor);
        assert!(worst <= 1e-5, "{order}: logits differ by {worst}");
    }
}

/// Leaving out heads without a say changes nothing where the columns follow the chosen heads.
#[test]
fn the_output_projection_is_matched_to_the_chosen_heads() {
    // Of four heads a layer, the output projection multiplies two by zero.
    let shape = Vit { num_heads: vec![4; 3], ..tiny_vit() }.shape().expect("possible");
    let mut parameters = random_parameters(&shape);
    for (name, tensor) in parameters.iter_mut().filter(|(name, _)| name.ends_with("proj.weight")) {
        if !name.starts_with("patch_embed") {
            let values = tensor.values.iter_mut().enumerate();
            values.for_each(|(index, value)| *value *= (index % 32 / 8 % 2) as f32);
        }
    }
    let labels = vec![vec![None, Some(0), None, Some(1)]; 3];
    let condensing = Condensing { labels, ..Condensing::nothing_joined(&shape) };
    let learngene = condensing.condense(&shape, &parameters);
    let ancestor = logits(&shape, &parameters);
    let apart = |projection| {
        let heads = HeadPolicy::Count(2);
        let config = DescendantConfig { heads, projection: Some(projection), ..inherit_all() };
        distance(&expanded(&learngene, &config), &ancestor)
    };
    assert!(apart(ProjectionPolicy::Centroid) <= 1e-5);
    // The published way, kept for the ablation, does not pass.
    assert!(apart(ProjectionPolicy::Origin) > 1e-3);
}

/// Eight copies of every head, each with an eighth of its columns, are the ancestor's function.
#[test]
fn more_heads_keep_the_scale() {
    for shape in [tiny(), tiny_swin()] {
        let (parameters, learngene) = whole(&shape);
        let ancestor = logits(&shape, &parameters);
        let apart = |projection| {
            let heads = "x8".parse().expect("a ratio");
            let config = DescendantConfig { heads, projection: Some(projection), ..inherit_all() };
            distance(&expanded(&learngene, &config), &ancestor)
        };
        assert!(apart(ProjectionPolicy::Rescaled) <= 1e-5);
        assert!(apart(ProjectionPolicy::Origin) > 1e-3);
    }
}

/// New layers that start as the identity change nothing.
#[test]
fn growing_can_keep_the_function() {
    for (shape, depth) in [(tiny(), "7"), (tiny_swin(), "4,3")] {
        let (parameters, learngene) = whole(&shape);
        let ancestor = logits(&shape, &parameters);
        let apart = |new_layers| {
            // A Swin's shifted windows alternate, so its layers must keep their parity.
            let (depth, layers) = (depth.parse().expect("a depth"), LayerPolicy::Front);
            let config = DescendantConfig { depth, new_layers, layers, ..inherit_all() };
            distance(&expanded(&learngene, &config), &ancestor)
        };
        assert!(apart(NewLayers::Identity) <= 1e-5);
        assert!(apart(NewLayers::Copy) > 1e-3);
    }
}

/// The bytes of the file are all there is: neither parameters nor shape of the ancestor are left.
#[test]
fn the_file_is_all_that_a_descendant_needs() {
    let (bytes, ancestor) = {
        let (parameters, learngene) = whole(&tiny_swin());
        (learngene.to_bytes(), parameters)
    };
    let learngene = Learngene::from_bytes(&bytes).expect("just written");
    assert_eq!(expanded(&learngene, &inherit_all()).parameters, ancestor);
}

/// What becomes of a descendant's parameters changes neither its source nor copies of them.
#[test]
fn a_descendant_s_parameters_are_its_own() {
    let (_, learngene) = whole(&tiny());
    let before = learngene.to_bytes();
    let config = config(r#"{"depth":"6","layers":"even"}"#);
    let (mut first, second) = (expanded(&learngene, &config), expanded(&learngene, &config));
    let copies = ["blocks.0.mlp.fc1.weight", "blocks.1.mlp.fc1.weight"];
    assert_eq!(first.parameters.get(copies[0]), first.parameters.get(copies[1]));
    let mut trained = first.parameters.iter_mut().filter(|(name, _)| *name == copies[0]);
    trained.next().expect("a parameter").1.values.fill(7.0);
    drop(trained);
    assert_ne!(first.parameters.get(copies[0]), first.parameters.get(copies[1]));
    assert_eq!(learngene.to_bytes(), before);
    assert_eq!(expanded(&learngene, &config).parameters, second.parameters);
}

/// Deeper than 12 layers, and head counts other than 3, 6 and 12, run like any other.
#[test]
fn any_depth_and_any_number_of_heads() {
    let (_, learngene) = whole(&tiny());
    for (depth, heads) in [(1, 1), (13, 5), (14, 7), (25, 2)] {
        for layers in [LayerPolicy::Front, LayerPolicy::Even, LayerPolicy::Last] {
            let heads = HeadPolicy::Count(heads);
            let config = DescendantConfig { depth: depth.into(), layers, heads, ..inherit_all() };
            let descendant = expanded(&learngene, &config);
            let logits = logits(&descendant.shape, &descendant.parameters);
            assert!(logits.iter().all(|value| value.is_finite()), "{config:?}");
        }
    }
}
