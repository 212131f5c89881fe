//! Models of some of the ancestor's layers, drawn or sharing weights otherwise.

use learngene_models::{ModelConfig, StateDict};

use super::support::{difference, logits, random_parameters, tiny, tiny_swin, tiny_vit};
use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, ExpansionError, FfnTransformation,
    TransformationConfig, attach, auto_learngene, heuristic_learngene, weight_transformation,
};

/// Of the tiny ViT: what the model has once but for the classifier, and each layer.
const STEM: u64 = (24 * 48 + 24) + 24 + 17 * 24 + 2 * 24;
const LAYERS: [u64; 3] = [layer(3), layer(4), layer(2)];

/// Two norms, heads of width 8 with their columns, the projection's bias, 40 hidden units.
const fn layer(heads: u64) -> u64 {
    4 * 24 + heads * (3 * 8 * 25 + 24 * 8) + 24 + (40 * 25 + 24 * 41)
}

fn heuristic(
    config: &ModelConfig,
    inherited_layers: usize,
    wanted: &DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    heuristic_learngene(&random_parameters(config), config, Some(inherited_layers), wanted)
}

fn auto(
    config: &ModelConfig,
    change: &[f64],
    inherited_layers: usize,
    wanted: &DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    auto_learngene(&random_parameters(config), config, change, Some(inherited_layers), wanted)
}

/// A layer's parameters by the names below its own.
fn of_layer(config: &ModelConfig, parameters: &StateDict, layer: usize) -> Vec<(String, Vec<f32>)> {
    let block = config.block(layer) + ".";
    let of = parameters.iter().filter_map(|(name, tensor)| {
        Some((name.strip_prefix(&block)?.to_owned(), tensor.values.clone()))
    });
    of.collect()
}

/// Each layer is the one of the ancestor to the bit, or none of its matrices is; what the model has
/// once is the ancestor's, and the model runs.
fn check(ancestor: &ModelConfig, got: &Descendant, layers: &[Option<usize>]) {
    let parameters = random_parameters(ancestor);
    assert_eq!(got.layers, layers);
    for (layer, source) in layers.iter().enumerate() {
        let values = of_layer(&got.config, &got.parameters, layer);
        match source {
            Some(source) => assert_eq!(values, of_layer(ancestor, &parameters, *source)),
            None => {
                assert!(got.slots[layer].is_empty());
                for (name, values) in values {
                    let first = values[0].to_bits();
                    let mut all = parameters.iter().flat_map(|(_, tensor)| &tensor.values);
                    let is_drawn = name.starts_with("norm") || name.ends_with("bias");
                    assert!(is_drawn || all.all(|value| value.to_bits() != first), "{name}");
                }
            }
        }
    }
    for name in ["patch_embed.proj.weight", "norm.bias", "layers.1.downsample.reduction.weight"] {
        assert_eq!(got.parameters.get(name), parameters.get(name), "{name}");
    }
    let logits = logits(&got.config, &got.parameters);
    assert!(logits.iter().all(|value| value.is_finite()));
}

#[test]
fn the_last_layers_come_last() {
    let none = DescendantConfig::default();
    let one = heuristic(&tiny(), 1, &none).expect("one of three");
    check(&tiny(), &one, &[None, None, Some(2)]);
    assert_eq!(one.inherited_parameters, STEM + LAYERS[2]);
    let deep = DescendantConfig { depth: 5.into(), ..none.clone() };
    let two = heuristic(&tiny(), 2, &deep).expect("two of three");
    check(&tiny(), &two, &[None, None, None, Some(1), Some(2)]);
    assert_eq!(two.inherited_parameters, STEM + LAYERS[1] + LAYERS[2]);
    let shallow = DescendantConfig { depth: 2.into(), ..none };
    let all = heuristic(&tiny(), 2, &shallow).expect("two of two");
    check(&tiny(), &all, &[Some(1), Some(2)]);
}

/// As in its paper, where none is asked for.
#[test]
fn three_layers_are_last_by_default() {
    let wanted = DescendantConfig { depth: 5.into(), ..Default::default() };
    let got = heuristic_learngene(&random_parameters(&tiny()), &tiny(), None, &wanted);
    check(&tiny(), &got.expect("three of three"), &[None, None, Some(0), Some(1), Some(2)]);
}

#[test]
fn the_layers_that_change_most_come_first() {
    let none = DescendantConfig::default();
    let one = auto(&tiny(), &[0.1, 0.9, 0.5], 1, &none).expect("one of three");
    check(&tiny(), &one, &[Some(1), None, None]);
    assert_eq!(one.inherited_parameters, STEM + LAYERS[1]);
    assert_eq!(one.config.num_heads()[0], 4, "as many heads as the layer that it is");
    let two = auto(&tiny(), &[0.6, 0.1, 0.9], 2, &none).expect("two of three");
    check(&tiny(), &two, &[Some(0), Some(2), None]);
    let tied = auto(&tiny(), &[0.5, 0.5, 0.5], 2, &none).expect("two of three");
    check(&tiny(), &tied, &[Some(0), Some(1), None]);
    // Half of the ancestor's three, rounded up.
    let half = auto_learngene(&random_parameters(&tiny()), &tiny(), &[0.6, 0.1, 0.9], None, &none);
    check(&tiny(), &half.expect("two of three"), &[Some(0), Some(2), None]);
}

#[test]
fn a_swins_layers_stay_in_their_stage() {
    let swin = tiny_swin();
    let got = heuristic(&swin, 2, &DescendantConfig::default()).expect("two of three");
    check(&swin, &got, &[None, Some(1), Some(2)]);
    let wanted = DescendantConfig { depth: "1,1".parse().expect("a depth"), ..Default::default() };
    // The second layer changes more than the third, but its stage has one place.
    let got = auto(&swin, &[0.9, 0.8, 0.1], 2, &wanted).expect("one of each stage");
    check(&swin, &got, &[Some(0), Some(2)]);
}

#[test]
fn drawn_layers_follow_the_seed_and_are_no_one_elses() {
    let draw = |seed| {
        let wanted = DescendantConfig { seed, ..Default::default() };
        let got = heuristic(&tiny(), 1, &wanted).expect("one of three");
        (of_layer(&got.config, &got.parameters, 0), got)
    };
    assert_eq!(draw(1).0, draw(1).0);
    assert_ne!(draw(1).0, draw(2).0);
    let scratch = crate::from_scratch(&draw(1).1.config, 1).expect("a possible shape");
    assert_ne!(draw(1).0, of_layer(&draw(1).1.config, &scratch, 0));
    let ffn = draw(1).1.ffn;
    assert!(ffn[0] != ffn[1] && !ffn[..2].contains(&ffn[2]), "{ffn:?}");
}

/// Of another width and with other heads, the descendant is whole all the same.
#[test]
fn drawn_layers_have_the_width_asked_for() {
    let wanted = DescendantConfig {
        embed_dim: Some(12),
        heads: "2".parse().expect("a number"),
        classifier: ClassifierPolicy::Inherit,
        ..Default::default()
    };
    let got = heuristic(&tiny(), 1, &wanted).expect("narrower");
    assert_eq!(got.parameters.check_against(&got.config.parameter_shapes()), Ok(()));
    assert_eq!(got.parameters.get("blocks.0.norm1.weight").expect("a norm").shape, [12]);
}

#[test]
fn layers_that_are_not_there_are_refused() {
    let none = DescendantConfig::default();
    let refused = |error: Option<ExpansionError>, message: &str| {
        assert_eq!(error.expect(message).to_string(), message);
    };
    for got in [0, 4] {
        let message = format!("the number of inherited layers must be 1 to 3 here, got {got}");
        refused(heuristic(&tiny(), got, &none).err(), &message);
        refused(auto(&tiny(), &[0.5; 3], got, &none).err(), &message);
    }
    let depth = |text: &str| DescendantConfig {
        depth: text.parse().expect("a depth"),
        ..Default::default()
    };
    let message = "the number of inherited layers must be 1 to 2 here, got 3";
    refused(heuristic(&tiny(), 3, &depth("2")).err(), message);
    // The first stage has one place, the second one layer.
    refused(auto(&tiny_swin(), &[0.5; 3], 3, &depth("1,2")).err(), message);
    let message = "stage 0 of the descendant has 1 layers, but is to inherit 2 of the ancestor's \
                   last layers; ask for fewer inherited layers, or for a deeper stage";
    refused(heuristic(&tiny_swin(), 3, &depth("1,2")).err(), message);
    for (change, got) in [(&[0.5; 2][..], "2 numbers"), (&[0.5, f64::NAN, 1.0], "NaN for layer 1")]
    {
        let message = format!(
            "changes of representation must be one finite number for each of the ancestor's 3 \
             layers, got {got}"
        );
        refused(auto(&tiny(), change, 1, &none).err(), &message);
    }
}

/// Attention and network are those of the group's first layer, norms each layer's own.
#[test]
fn layers_in_a_row_share_all_but_norms() {
    let (ancestor, parameters) = (tiny(), random_parameters(&tiny()));
    let got = weight_transformation(&parameters, &ancestor, None, &DescendantConfig::default())
        .expect("two and one");
    assert_eq!(got.layers, [0, 0, 2].map(Some));
    assert_eq!(got.ffn, [0, 0, 2]);
    assert_eq!(got.config.num_heads(), [3, 3, 2]);
    assert_eq!(got.inherited_parameters, STEM + LAYERS[0] + 4 * 24 + LAYERS[2]);
    let (first, second) =
        (of_layer(&got.config, &got.parameters, 0), of_layer(&got.config, &got.parameters, 1));
    let own = of_layer(&ancestor, &parameters, 1);
    for (shared, (name, values)) in first.into_iter().zip(second) {
        match own.iter().find(|(other, _)| *other == name && name.starts_with("norm")) {
            Some((_, own)) => assert_eq!(values, *own, "{name}"),
            None => assert_eq!((shared.0, shared.1), (name, values)),
        }
    }
}

#[test]
fn groups_end_with_their_stage_and_take_any_number() {
    let groups = |config: &ModelConfig, shared, wanted: &DescendantConfig| {
        let got = weight_transformation(&random_parameters(config), config, Some(shared), wanted);
        got.expect("a possible number").ffn
    };
    let none = DescendantConfig::default();
    assert_eq!(groups(&tiny(), 3, &none), [0, 0, 0]);
    assert_eq!(groups(&tiny(), 9, &none), [0, 0, 0]);
    assert_eq!(groups(&tiny_swin(), 3, &none), [0, 0, 2]);
    let even =
        DescendantConfig { depth: 6.into(), layers: "even".parse().expect("a policy"), ..none };
    assert_eq!(groups(&tiny(), 3, &even), [0, 0, 0, 1, 1, 1]);
}

#[test]
fn one_layer_shares_with_no_other() {
    for got in [0, 1] {
        let parameters = random_parameters(&tiny());
        let error = weight_transformation(&parameters, &tiny(), Some(got), &Default::default());
        let message = format!("at least 2 layers in a row must share weights, got {got}");
        assert_eq!(error.expect_err(&message).to_string(), message);
    }
}

/// The transformations of the plan are of layers that share one base, and begin as the identity.
#[test]
fn shared_layers_can_be_transformed() {
    let ancestor = tiny_vit().into();
    let got = weight_transformation(
        &random_parameters(&ancestor),
        &ancestor,
        Some(2),
        &DescendantConfig::default(),
    )
    .expect("two and one");
    let device = burn::tensor::Device::flex();
    let model = got.config.load(&got.parameters, &device).expect("a whole model");
    let wanted = TransformationConfig {
        ffn: Some(FfnTransformation::CrossLayer { hidden: 2 }),
        ..Default::default()
    };
    let transforming = attach(model, &got.plan(), &wanted).expect("its own plan");
    let inner = transforming.transformations();
    let inner = inner.get("mixing.0.fc1.inner").expect("a mixing of the one stage");
    assert_eq!(inner.shape, [2, 2], "two bases for three layers");
    let folded = learngene_models::Classifier::state_dict(&transforming.fold());
    let before = logits(&got.config, &got.parameters);
    assert!(difference(&logits(&got.config, &folded), &before) < 1e-6);
}
