//! The initialisations that a learngene is compared with.

use learngene_shape::{Family, Init, Shape, Vit};
use learngene_tensors::StateDict;

use super::support::{
    check_heads, check_whole, config, inherit_all, of_layer, random_parameters, tiny, tiny_swin,
};
use crate::{
    Descendant, DescendantConfig, auto_learngene, from_scratch, heuristic_learngene,
    pretraining_finetuning, weight_transformation,
};

/// Of the tiny ViT: what the model has once but for the classifier, and each layer.
const STEM: u64 = (24 * 48 + 24) + 24 + 17 * 24 + 2 * 24;
const LAYERS: [u64; 3] = [layer(3), layer(4), layer(2)];

/// Two norms, heads of width 8 with their columns, the projection's bias, 40 hidden units.
const fn layer(heads: u64) -> u64 {
    4 * 24 + heads * (3 * 8 * 25 + 24 * 8) + 24 + (40 * 25 + 24 * 41)
}

#[test]
fn of_the_ancestor_s_shape_pretraining_is_the_ancestor() {
    for ancestor in [tiny(), tiny_swin()] {
        let parameters = random_parameters(&ancestor);
        let found = pretraining_finetuning(&parameters, &ancestor, &inherit_all());
        let found = found.expect("the same shape");
        assert_eq!(found.parameters, parameters);
        assert_eq!(found.inherited_parameters, ancestor.count_parameters());
    }
}

#[test]
fn front_layers_and_front_heads_are_taken_whole() {
    let parameters = random_parameters(&tiny());
    let two = config(r#"{"depth":"2","heads":"2,6"}"#);
    let found = pretraining_finetuning(&parameters, &tiny(), &two).expect("two of three layers");
    assert_eq!(found.layers, [0, 1].map(Some));
    let heads = |layer: usize| found.slots[layer].iter().map(|s| s.head).collect::<Vec<_>>();
    assert_eq!((heads(0), heads(1)), (vec![0, 1], vec![0, 1, 2, 3, 0, 1]));
    check_heads(&found, &tiny(), &parameters);
    for name in ["blocks.1.mlp.fc2.weight", "blocks.1.norm2.bias", "pos_embed", "norm.weight"] {
        assert_eq!(found.parameters.get(name), parameters.get(name), "{name}");
    }
    assert_ne!(found.parameters.get("head.weight"), parameters.get("head.weight"));
    let other = config(r#"{"depth":"7","layers":"even","image_size":32,"num_classes":3}"#);
    check_whole(&pretraining_finetuning(&parameters, &tiny(), &other).expect("a possible shape"));
}

fn heuristic(ancestor: &Shape, count: Option<usize>, config: &DescendantConfig) -> Descendant {
    let parameters = random_parameters(ancestor);
    heuristic_learngene(&parameters, ancestor, count, config).expect("so many layers")
}

fn auto(ancestor: &Shape, count: Option<usize>, config: &DescendantConfig) -> Descendant {
    let parameters = random_parameters(ancestor);
    auto_learngene(&parameters, ancestor, count, config).expect("so many layers")
}

/// Each layer is the one of the ancestor to the bit, or none of its matrices is; what the model has
/// once is the ancestor's.
fn check(ancestor: &Shape, found: &Descendant, layers: &[Option<usize>]) {
    let parameters = random_parameters(ancestor);
    assert_eq!(found.layers, layers);
    check_whole(found);
    for (layer, source) in layers.iter().enumerate() {
        let own = of_layer(&found.shape, &found.parameters, layer);
        if let Some(source) = source {
            let expected = of_layer(ancestor, &parameters, *source).into_iter();
            assert!(own.into_iter().map(|own| own.1).eq(expected.map(|expected| expected.1)));
            continue;
        }
        assert!(found.slots[layer].is_empty());
        for (parameter, tensor) in own {
            let first = tensor.values[0].to_bits();
            let mut all = parameters.iter().flat_map(|(_, tensor)| &tensor.values);
            let is_constant = matches!(parameter.init, Init::Constant(_));
            assert!(is_constant || all.all(|value| value.to_bits() != first), "{parameter:?}");
        }
    }
    for name in ["patch_embed.proj.weight", "norm.bias", "layers.1.downsample.reduction.weight"] {
        assert_eq!(found.parameters.get(name), parameters.get(name), "{name}");
    }
}

#[test]
fn the_last_layers_come_last_and_the_first_come_first() {
    let none = DescendantConfig::default();
    let one = heuristic(&tiny(), Some(1), &none);
    check(&tiny(), &one, &[None, None, Some(2)]);
    assert_eq!(one.inherited_parameters, STEM + LAYERS[2]);
    let first = auto(&tiny(), Some(1), &none);
    check(&tiny(), &first, &[Some(0), None, None]);
    assert_eq!(first.inherited_parameters, STEM + LAYERS[0]);

    let deep = config(r#"{"depth":"5"}"#);
    check(&tiny(), &heuristic(&tiny(), Some(2), &deep), &[None, None, None, Some(1), Some(2)]);
    check(&tiny(), &auto(&tiny(), Some(2), &deep), &[Some(0), Some(1), None, None, None]);
    let shallow = config(r#"{"depth":"2"}"#);
    check(&tiny(), &heuristic(&tiny(), Some(2), &shallow), &[Some(1), Some(2)]);

    let swin = tiny_swin();
    check(&swin, &heuristic(&swin, Some(2), &none), &[None, Some(1), Some(2)]);
    check(&swin, &auto(&swin, Some(2), &none), &[Some(0), Some(1), None]);
}

/// Twelve layers of twelve heads.
fn deep() -> Shape {
    let vit = Vit { image_size: 16, patch_size: 4, num_classes: 5, ..Vit::uniform(24, 12, 12) };
    vit.shape().expect("possible")
}

/// As in Table 2: the last six layers of twelve, and the first six; fewer where there is no room.
#[test]
fn half_of_the_layers_are_inherited_by_default() {
    let vit = deep();
    let none = DescendantConfig::default();
    let places = |range: std::ops::Range<usize>| -> Vec<Option<usize>> {
        (0..12).map(|layer| range.contains(&layer).then_some(layer)).collect()
    };
    check(&vit, &heuristic(&vit, None, &none), &places(6..12));
    check(&vit, &auto(&vit, None, &none), &places(0..6));
    let four = config(r#"{"depth":"4"}"#);
    check(&vit, &heuristic(&vit, None, &four), &[8, 9, 10, 11].map(Some));
    check(&vit, &auto(&vit, None, &four), &[0, 1, 2, 3].map(Some));
    // Of three, two: both of the first stage, or one of each.
    let small = config(r#"{"depth":"1,1"}"#);
    check(&tiny_swin(), &heuristic(&tiny_swin(), None, &small), &[Some(1), Some(2)]);
    check(&tiny_swin(), &auto(&tiny_swin(), None, &small), &[Some(0), None]);
}

/// The published code took the names of layers to remove for those of the file's outermost entries,
/// of which there is one, `model`: all layers stayed.
#[test]
fn baselines_leave_out_the_layers_that_they_say() {
    let vit = deep();
    let parameters = random_parameters(&vit);
    let all: Vec<String> = (1..11).map(|layer| layer.to_string()).collect();
    for (layers, kept) in [("front", 0..10), (&*all.join(","), 1..11), ("last", 2..12)] {
        let ten = config(&format!(r#"{{"depth":"10","layers":"{layers}"}}"#));
        let found = pretraining_finetuning(&parameters, &vit, &ten).expect("ten of twelve");
        check(&vit, &found, &kept.clone().map(Some).collect::<Vec<_>>());
        for layer in (0..12).filter(|layer| !kept.contains(layer)) {
            for (parameter, tensor) in of_layer(&vit, &parameters, layer) {
                let is_there = found.parameters.iter().any(|(_, other)| other == tensor);
                assert!(!is_there, "{} was left out", parameter.name);
            }
        }
    }
}

#[test]
fn drawn_layers_follow_the_seed_and_are_no_one_elses() {
    let draw = |seed| heuristic(&tiny(), Some(1), &DescendantConfig { seed, ..Default::default() });
    let first = |shape: &Shape, parameters: &StateDict| {
        let tensors = of_layer(shape, parameters, 0).into_iter();
        tensors.map(|(_, tensor)| tensor.clone()).collect::<Vec<_>>()
    };
    let (one, two) = (draw(1), draw(2));
    assert_eq!(one.parameters, draw(1).parameters);
    assert_ne!(first(&one.shape, &one.parameters), first(&two.shape, &two.parameters));
    let scratch = from_scratch(&one.shape, 1);
    assert_ne!(first(&one.shape, &one.parameters), first(&one.shape, &scratch));
    assert_eq!(one.ffn, [3, 4, 2]);
    let other = config(r#"{"embed_dim":12,"heads":"2","classifier":"inherit"}"#);
    check_whole(&heuristic(&tiny(), Some(1), &other));
}

/// Attention and FFN are those of the group's first layer, norms each layer's own.
#[test]
fn layers_in_a_row_share_all_but_norms() {
    let parameters = random_parameters(&tiny());
    let found = weight_transformation(&parameters, &tiny(), None, &DescendantConfig::default());
    let found = found.expect("two and one");
    check_whole(&found);
    assert_eq!(found.layers, [0, 0, 2].map(Some));
    assert_eq!(found.ffn, [0, 0, 2]);
    assert_eq!(found.shape.num_heads(), [3, 3, 2]);
    assert_eq!(found.inherited_parameters, STEM + LAYERS[0] + 4 * 24 + LAYERS[2]);
    let shared = of_layer(&found.shape, &found.parameters, 0).into_iter();
    let own = of_layer(&tiny(), &parameters, 1).into_iter();
    let second = of_layer(&found.shape, &found.parameters, 1).into_iter();
    for ((shared, own), second) in shared.zip(own).zip(second) {
        let expected = if second.0.name.contains("norm") { own.1 } else { shared.1 };
        assert_eq!(second.1, expected, "{}", second.0.name);
    }
}

#[test]
fn groups_end_with_their_stage_and_take_any_number() {
    let groups = |ancestor: &Shape, shared, json: &str| {
        let parameters = random_parameters(ancestor);
        let found = weight_transformation(&parameters, ancestor, Some(shared), &config(json));
        found.expect("a possible number").ffn
    };
    assert_eq!(groups(&tiny(), 3, "{}"), [0, 0, 0]);
    assert_eq!(groups(&tiny(), 9, "{}"), [0, 0, 0]);
    assert_eq!(groups(&tiny_swin(), 3, "{}"), [0, 0, 2]);
    assert_eq!(groups(&tiny(), 3, r#"{"depth":"6","layers":"even"}"#), [0, 0, 0, 1, 1, 1]);
}
