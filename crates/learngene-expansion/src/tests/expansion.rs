use learngene_format::{Dtype, Learngene, Manifest, Tensor};
use learngene_models::{ModelConfig, Projection, StateDict, VitConfig, count_parameters};

use super::support::{Condensing, Heads, difference, logits, random_parameters, tiny, tiny_vit};
use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, ExpansionError, HeadPolicy, LayerPolicy, Order,
    ProjectionPolicy, ancestor_config, expand,
};

/// The tiny ancestor with nothing joined.
fn whole() -> (ModelConfig, StateDict, Learngene) {
    let config = tiny();
    let parameters = random_parameters(&config);
    let learngene = Condensing::nothing_joined(&config).condense(&config, &parameters);
    (config, parameters, learngene)
}

/// Layer 0: {1, 2} before {0}. Layer 1: {0, 3}, {1}, {2}. Layer 2: {1}, head 0 dropped.
fn clustered() -> Condensing {
    Condensing {
        labels: vec![
            vec![Some(0), Some(1), Some(1)],
            vec![Some(0), Some(1), Some(2), Some(0)],
            vec![None, Some(0)],
        ],
        ..Condensing::nothing_joined(&tiny())
    }
}

fn joined() -> (ModelConfig, StateDict, Learngene) {
    let config = tiny();
    let parameters = random_parameters(&config);
    let learngene = clustered().condense(&config, &parameters);
    (config, parameters, learngene)
}

fn inherit_all() -> DescendantConfig {
    DescendantConfig { classifier: ClassifierPolicy::Inherit, ..Default::default() }
}

/// The ancestor's heads in a layer of the descendant.
fn heads_of(descendant: &Descendant, layer: usize) -> Vec<usize> {
    descendant.slots[layer].iter().map(|slot| slot.head).collect()
}

/// Every head of a descendant is, row by row and column by column, what its slot says.
fn check_heads(descendant: &Descendant, ancestor: &Heads<'_>) {
    let got = Heads { config: &descendant.config, parameters: &descendant.parameters };
    for (layer, slots) in descendant.slots.iter().enumerate() {
        assert_eq!(slots.len(), descendant.config.num_heads()[layer]);
        for (slot, from) in slots.iter().enumerate() {
            for of in Projection::ALL {
                let wanted = ancestor.rows(from.layer, of, from.head);
                assert_eq!(got.rows(layer, of, slot), wanted, "layer {layer}, slot {slot}, {of:?}");
            }
            let columns = ancestor.columns(from.layer, from.projection_head);
            let scaled: Vec<f32> = columns.iter().map(|c| c * from.projection_scale).collect();
            assert_eq!(got.columns(layer, slot), scaled, "layer {layer}, slot {slot}");
        }
    }
}

#[test]
fn with_nothing_joined_the_descendant_is_the_ancestor() {
    let (config, parameters, learngene) = whole();
    let wanted = logits(&config, &parameters);
    for order in [Order::Priority, Order::Origin, Order::Increasing, Order::Decreasing] {
        let descendant = expand(&learngene, &DescendantConfig { order, ..inherit_all() });
        let descendant = descendant.expect("as large as the ancestor");
        assert_eq!(descendant.config, config);
        let worst = difference(&logits(&descendant.config, &descendant.parameters), &wanted);
        assert!(worst <= 1e-5, "{order}: logits differ by {worst}");
    }
}

#[test]
fn in_its_own_order_the_descendant_has_the_bytes_of_the_ancestor() {
    let (_, parameters, learngene) = whole();
    for projection in [ProjectionPolicy::Centroid, ProjectionPolicy::Origin] {
        let wanted = DescendantConfig {
            projection: Some(projection),
            order: Order::Origin,
            ..inherit_all()
        };
        let descendant = expand(&learngene, &wanted).expect("as large as the ancestor");
        assert_eq!(descendant.parameters, parameters);
    }
}

#[test]
fn heads_come_from_the_centroids_in_turn() {
    let (config, parameters, learngene) = joined();
    let wanted = DescendantConfig { heads: HeadPolicy::Count(5), ..Default::default() };
    let descendant = expand(&learngene, &wanted).expect("any number of heads");
    assert_eq!(heads_of(&descendant, 0), [2, 0, 2, 0, 2]);
    assert_eq!(heads_of(&descendant, 1), [3, 1, 2, 3, 1]);
    assert_eq!(heads_of(&descendant, 2), [1; 5]);
    check_heads(&descendant, &Heads { config: &config, parameters: &parameters });
}

#[test]
fn fewer_heads_than_centroids_take_the_first_in_order() {
    let (_, _, learngene) = joined();
    // Distances of layer 1, head by head: 12, 0, 8, 16.
    let cases = [
        (Order::Priority, [3, 1]),
        (Order::Origin, [1, 2]),
        (Order::Increasing, [1, 2]),
        (Order::Decreasing, [3, 2]),
    ];
    for (order, heads) in cases {
        let wanted = DescendantConfig { order, heads: HeadPolicy::Count(2), ..Default::default() };
        let descendant = expand(&learngene, &wanted).expect("any number of heads");
        assert_eq!(heads_of(&descendant, 1), heads, "{order}");
    }
}

#[test]
fn origin_leaves_columns_where_they_were() {
    let (config, parameters, learngene) = joined();
    let wanted = DescendantConfig {
        heads: HeadPolicy::Count(5),
        projection: Some(ProjectionPolicy::Origin),
        ..Default::default()
    };
    let descendant = expand(&learngene, &wanted).expect("the projections are kept");
    let columns: Vec<Vec<usize>> = descendant
        .slots
        .iter()
        .map(|slots| slots.iter().map(|slot| slot.projection_head).collect())
        .collect();
    assert_eq!(columns, [[0, 1, 2, 0, 1], [0, 1, 2, 3, 0], [0, 1, 0, 1, 0]]);
    check_heads(&descendant, &Heads { config: &config, parameters: &parameters });
}

#[test]
fn origin_without_the_projection_says_how_to_keep_it() {
    let config = tiny();
    let condensing = Condensing { keep_projection: false, ..clustered() };
    let learngene = condensing.condense(&config, &random_parameters(&config));
    let wanted =
        DescendantConfig { projection: Some(ProjectionPolicy::Origin), ..Default::default() };
    let error = expand(&learngene, &wanted).expect_err("the projection is not kept");
    assert_eq!(error, ExpansionError::ProjectionAbsent { layer: 0 });
    assert!(error.to_string().contains("--keep-projection"), "{error}");
}

#[test]
fn rescaled_weighs_columns_by_cluster_and_copies() {
    let (config, parameters, learngene) = joined();
    let wanted = DescendantConfig {
        heads: HeadPolicy::Count(5),
        projection: Some(ProjectionPolicy::Rescaled),
        ..Default::default()
    };
    let descendant = expand(&learngene, &wanted).expect("any number of heads");
    let scales: Vec<f32> = descendant.slots[0].iter().map(|slot| slot.projection_scale).collect();
    // Three copies stand for two heads, two copies for one.
    let (two, one) = (2f32.sqrt() / 3.0, 0.5);
    assert_eq!(scales, [two, one, two, one, two]);
    check_heads(&descendant, &Heads { config: &config, parameters: &parameters });
}

#[test]
fn layers_bring_their_norms_and_feed_forward_networks() {
    let config = tiny();
    let parameters = random_parameters(&config);
    let condensing = Condensing { ffn_groups: vec![vec![0, 1], vec![2]], ..clustered() };
    let learngene = condensing.condense(&config, &parameters);
    let layers = LayerPolicy::List(vec![2, 1, 1, 0]);
    let wanted = DescendantConfig { layers, ..Default::default() };
    let descendant = expand(&learngene, &wanted).expect("layers 0 to 2 exist");

    assert_eq!(descendant.layers, [2, 1, 1, 0].map(Some));
    assert_eq!(descendant.config.num_heads(), [2, 4, 4, 3]);
    let same = |to: String, from: String| {
        assert_eq!(descendant.parameters.get(&to), parameters.get(&from), "{to}");
    };
    for (layer, (source, group)) in [(2, 2), (1, 0), (1, 0), (0, 0)].into_iter().enumerate() {
        for name in ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "attn.proj.bias"] {
            same(format!("blocks.{layer}.{name}"), format!("blocks.{source}.{name}"));
        }
        for name in ["mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias"] {
            same(format!("blocks.{layer}.{name}"), format!("blocks.{group}.{name}"));
        }
    }
    for name in ["cls_token", "pos_embed", "patch_embed.proj.weight", "norm.weight", "norm.bias"] {
        same(name.into(), name.into());
    }
}

#[test]
fn positions_follow_the_image_size() {
    let (config, _, learngene) = whole();
    let wanted = DescendantConfig { image_size: Some(24), ..Default::default() };
    let descendant = expand(&learngene, &wanted).expect("24 is six patches");
    let positions = descendant.parameters.get("pos_embed").expect("every ViT has positions");
    assert_eq!(positions.shape, [1, 1 + 6 * 6, config.embed_dim()]);
    assert_eq!(logits(&descendant.config, &descendant.parameters).len(), 2 * 5);
}

#[test]
fn the_classifier_is_fresh_unless_asked_for() {
    let (_, parameters, learngene) = whole();
    let head = |wanted: DescendantConfig| {
        let descendant = expand(&learngene, &wanted).expect("a possible classifier");
        descendant.parameters.get("head.weight").cloned()
    };
    let ancestor = parameters.get("head.weight").cloned();
    let fresh = head(DescendantConfig::default());
    assert_eq!(head(inherit_all()), ancestor);
    assert_ne!(fresh, ancestor);
    assert_eq!(fresh, head(DescendantConfig::default()));
    assert_ne!(fresh, head(DescendantConfig { seed: 1, ..Default::default() }));
    let seven = head(DescendantConfig { num_classes: Some(7), ..Default::default() });
    assert_eq!(seven.map(|weight| weight.shape), Some(vec![7, 24]));
    assert_eq!(head(DescendantConfig { num_classes: Some(0), ..Default::default() }), None);
}

#[test]
fn a_classifier_that_was_not_kept_cannot_be_inherited() {
    let config = tiny();
    let condensing = Condensing { classifier: false, ..clustered() };
    let learngene = condensing.condense(&config, &random_parameters(&config));
    let error = expand(&learngene, &inherit_all()).expect_err("the classifier is not kept");
    assert_eq!(error, ExpansionError::ClassifierAbsent { place: "learngene" });
}

#[test]
fn whatever_is_inherited_counts_once() {
    let (config, _, learngene) = whole();
    let inherited = |wanted: DescendantConfig| {
        expand(&learngene, &wanted).expect("a possible descendant").inherited_parameters
    };
    let all = count_parameters(&config);
    assert_eq!(inherited(inherit_all()), all);
    // Twice as deep, four times as many heads, but made of the same parts.
    let doubled = DescendantConfig {
        depth: 6.into(),
        layers: LayerPolicy::Even,
        heads: "w=1/4".parse().expect("a ratio"),
        ..inherit_all()
    };
    assert_eq!(inherited(doubled), all);
    // A fresh classifier is not inherited, nor are layers and heads left out.
    assert_eq!(inherited(DescendantConfig::default()), all - (24 * 5 + 5));
    let shallow = VitConfig { num_heads: vec![2, 2], num_classes: 0, ..tiny_vit() };
    let wanted = DescendantConfig {
        depth: 2.into(),
        heads: HeadPolicy::Count(2),
        num_classes: Some(0),
        ..Default::default()
    };
    assert_eq!(inherited(wanted), count_parameters(&shallow.into()));
}

#[test]
fn half_precision_is_read_exactly() {
    let config = tiny();
    let parameters = random_parameters(&config);
    for dtype in [Dtype::F16, Dtype::BF16] {
        let condensing = Condensing { dtype, ..Condensing::nothing_joined(&config) };
        let learngene = condensing.condense(&config, &parameters);
        let wanted = learngene.tensor("norm.weight").map(|tensor| tensor.to_f32());
        let descendant = expand(&learngene, &inherit_all()).expect("as large as the ancestor");
        let got = descendant.parameters.get("norm.weight").map(|tensor| tensor.values.clone());
        assert_eq!(got, wanted);
    }
}

#[test]
fn the_learngene_knows_the_shape_of_its_ancestor() {
    let (config, _, learngene) = joined();
    assert_eq!(ancestor_config(&learngene), config);
}

/// Its bytes were put together by `FORMAT.md` alone, every value one half.
#[test]
fn the_file_of_the_crates_example_is_what_the_format_writes() {
    let manifest = include_str!("../../../learngene-format/tests/data/tiny.json");
    let manifest: Manifest = serde_json::from_str(manifest).expect("a manifest");
    let shapes = manifest.expected_tensors().expect("a consistent manifest").into_iter();
    let tensors = shapes.map(|(name, shape)| {
        let values = vec![0.5; shape.iter().product()];
        (name, Tensor::from_f32(manifest.dtype, shape, &values).expect("one value each"))
    });
    let tensors = tensors.collect();
    let learngene = Learngene::new(manifest, tensors).expect("its own tensors");
    assert_eq!(learngene.to_bytes(), include_bytes!("../../tests/data/tiny.learngene"));
}
