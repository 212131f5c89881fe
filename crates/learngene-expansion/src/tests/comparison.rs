//! The initialisations that a learngene is compared with.

use learngene_models::{Projection, count_parameters};

use super::support::{Heads, difference, logits, random_parameters, tiny};
use crate::{
    ClassifierPolicy, DescendantConfig, ExpansionError, HeadPolicy, LayerPolicy, from_scratch,
    pretraining_finetuning,
};

#[test]
fn a_model_from_scratch_runs() {
    let parameters = from_scratch(&tiny(), 0).expect("a possible shape");
    let logits = logits(&tiny(), &parameters);
    assert!(logits.iter().any(|value| *value != 0.0));
    assert!(logits.iter().all(|value| value.is_finite()));
}

#[test]
fn of_the_ancestors_shape_pretraining_is_the_ancestor() {
    let (config, parameters) = (tiny(), random_parameters(&tiny()));
    let wanted = DescendantConfig { classifier: ClassifierPolicy::Inherit, ..Default::default() };
    let got = pretraining_finetuning(&parameters, &config, &wanted).expect("the same shape");
    assert_eq!(got.parameters, parameters);
    assert_eq!(got.inherited_parameters, count_parameters(&config));
    assert_eq!(
        difference(&logits(&got.config, &got.parameters), &logits(&config, &parameters)),
        0.0
    );
}

#[test]
fn front_layers_and_front_heads_are_taken_whole() {
    let (config, parameters) = (tiny(), random_parameters(&tiny()));
    let heads = HeadPolicy::List(vec![2, 6]);
    let wanted = DescendantConfig { depth: 2.into(), heads, ..Default::default() };
    let got = pretraining_finetuning(&parameters, &config, &wanted).expect("two of three layers");

    assert_eq!(got.layers, [0, 1].map(Some));
    let from = Heads { config: &config, parameters: &parameters };
    let to = Heads { config: &got.config, parameters: &got.parameters };
    for (layer, heads) in [vec![0, 1], vec![0, 1, 2, 3, 0, 1]].into_iter().enumerate() {
        for (slot, head) in heads.into_iter().enumerate() {
            for of in Projection::ALL {
                assert_eq!(to.rows(layer, of, slot), from.rows(layer, of, head));
            }
            assert_eq!(to.columns(layer, slot), from.columns(layer, head));
            assert_eq!(got.slots[layer][slot].head, head);
        }
    }
    for name in ["blocks.1.mlp.fc2.weight", "blocks.1.norm2.bias", "pos_embed", "norm.weight"] {
        assert_eq!(got.parameters.get(name), parameters.get(name), "{name}");
    }
    assert_ne!(got.parameters.get("head.weight"), parameters.get("head.weight"));
}

#[test]
fn a_larger_image_and_other_classes_are_possible() {
    let (config, parameters) = (tiny(), random_parameters(&tiny()));
    let wanted = DescendantConfig {
        depth: 7.into(),
        layers: LayerPolicy::Even,
        image_size: Some(32),
        num_classes: Some(3),
        ..Default::default()
    };
    let got = pretraining_finetuning(&parameters, &config, &wanted).expect("a possible shape");
    assert_eq!(logits(&got.config, &got.parameters).len(), 2 * 3);
}

#[test]
fn parameters_of_another_shape_are_listed() {
    let (config, mut parameters) = (tiny(), random_parameters(&tiny()));
    parameters.remove("blocks.1.attn.qkv.bias");
    let error = pretraining_finetuning(&parameters, &config, &DescendantConfig::default());
    let error = error.expect_err("a bias is missing").to_string();
    assert!(error.starts_with("ancestor: "), "{error}");
    assert!(error.contains("blocks.1.attn.qkv.bias"), "{error}");
}

#[test]
fn an_ancestor_without_classifier_cannot_hand_one_on() {
    let config = tiny().with_num_classes(0);
    let wanted = DescendantConfig { classifier: ClassifierPolicy::Inherit, ..Default::default() };
    let error = pretraining_finetuning(&random_parameters(&config), &config, &wanted);
    assert_eq!(error.err(), Some(ExpansionError::ClassifierAbsent { place: "ancestor" }));
}
