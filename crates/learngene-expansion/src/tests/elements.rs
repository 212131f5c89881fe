//! Models of evenly chosen elements of the ancestor.

use learngene_models::{HostTensor, ModelConfig};

use super::support::{logits, random_parameters, tiny, tiny_swin, tiny_vit};
use crate::{ClassifierPolicy, Descendant, DescendantConfig, ExpansionError, weight_selection};

fn select(ancestor: &ModelConfig, wanted: &DescendantConfig) -> Result<Descendant, ExpansionError> {
    weight_selection(&random_parameters(ancestor), ancestor, wanted)
}

fn narrow(depth: &str, heads: &str, embed_dim: usize) -> DescendantConfig {
    DescendantConfig {
        depth: depth.parse().expect("a depth"),
        heads: heads.parse().expect("heads"),
        embed_dim: Some(embed_dim),
        ..Default::default()
    }
}

/// Every second element along each axis that is half as long: the published choice.
fn check_every_second(ancestor: &ModelConfig, got: &Descendant) {
    let parameters = random_parameters(ancestor);
    for (name, tensor) in got.parameters.iter().filter(|(name, _)| !name.starts_with("head.")) {
        let HostTensor { shape: from, values } = parameters.get(name).expect("the same layers");
        for (index, value) in tensor.values.iter().enumerate() {
            let (mut rest, mut place, mut stride) = (index, 0, 1);
            for (to, from) in tensor.shape.iter().zip(from).rev() {
                let step = from / to;
                place += rest % to * step * stride;
                (rest, stride) = (rest / to, stride * from);
            }
            assert_eq!(value.to_bits(), values[place].to_bits(), "{name} at {index}");
        }
    }
}

#[test]
fn elements_are_the_published_ones_where_sizes_divide() {
    let vit = learngene_models::VitConfig { num_heads: vec![4, 4, 2], ..tiny_vit() };
    let got = select(&vit.clone().into(), &narrow("2", "2", 12)).expect("half of it");
    check_every_second(&vit.into(), &got);
    assert_eq!(got.layers, [0, 1].map(Some));

    let swin = tiny_swin();
    let got = select(&swin, &narrow("1,1", "1", 6)).expect("part of it");
    check_every_second(&swin, &got);
    assert_eq!(got.layers, [0, 2].map(Some));
}

/// Of 24 channels 12, of 3 and 4 heads one of width 8, of 40 hidden units 20, two layers.
#[test]
fn what_is_picked_counts() {
    let stem = (12 * 48 + 12) + 12 + 17 * 12 + 2 * 12;
    let layer = 4 * 12 + (3 * 8 * 13 + 12 * 8 + 12) + (20 * 13 + 12 * 21);
    let got = select(&tiny(), &narrow("2", "1", 12)).expect("part of it");
    assert_eq!(got.inherited_parameters, stem + 2 * layer);
    let whole = DescendantConfig { classifier: ClassifierPolicy::Inherit, ..Default::default() };
    let whole = select(&tiny(), &whole).expect("all of it");
    assert_eq!(whole.parameters, random_parameters(&tiny()));
    assert_eq!(whole.inherited_parameters, whole.parameters.num_parameters() as u64);
}

#[test]
fn any_smaller_model_is_whole_and_runs() {
    for (ancestor, depth, embed_dim) in [(tiny(), "3", 7), (tiny_swin(), "2,1", 5)] {
        let wanted = DescendantConfig {
            mlp_ratio: Some("1".parse().expect("a ratio")),
            classifier: ClassifierPolicy::Inherit,
            ..narrow(depth, "2", embed_dim)
        };
        let got = select(&ancestor, &wanted).expect("smaller in everything");
        assert_eq!(got.parameters.check_against(&got.config.parameter_shapes()), Ok(()));
        assert!(logits(&got.config, &got.parameters).iter().all(|value| value.is_finite()));
        assert_eq!(got.plan().check(&got.config), Ok(()));
    }
    let larger_image = DescendantConfig { image_size: Some(32), ..narrow("1", "1", 12) };
    let got = select(&tiny(), &larger_image).expect("positions are interpolated");
    assert_eq!(got.parameters.get("pos_embed").expect("positions").shape, [1, 65, 12]);
    let small = select(&tiny(), &narrow("1", "1", 12)).expect("smaller in everything");
    assert_eq!(got.inherited_parameters, small.inherited_parameters);
}

#[test]
fn a_larger_model_is_refused() {
    let refused = |wanted: DescendantConfig, message: &str| {
        let error = select(&tiny(), &wanted).expect_err(message).to_string();
        assert_eq!(error, format!("weight selection picks from a larger model: {message}"));
    };
    let larger = |layer: usize, what: &str, got: usize, most: usize| {
        format!(
            "layer {layer} of the descendant is to have {what} {got}, but the ancestor's has {most}"
        )
    };
    refused(narrow("2", "1", 27), &larger(0, "token width", 27, 24));
    refused(narrow("3", "3", 12), &larger(2, "heads", 3, 2));
    let mlp_ratio = Some("2".parse().expect("a ratio"));
    let wanted = DescendantConfig { mlp_ratio, ..narrow("1", "1", 24) };
    refused(wanted, &larger(0, "hidden width", 48, 40));
    let message = "layers 2 and 3 of the descendant would both be the ancestor's layer 2";
    refused(narrow("4", "1", 12), message);
}
