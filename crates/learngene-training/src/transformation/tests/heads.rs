//! Copies of a head, and what parts them.

use burn::optim::SgdConfig;
use learngene_models::{Classifier, Head, ModelConfig, Projection, StateDict};

use super::support::*;
use crate::NewLayers;

/// Largest difference between the two copies of a head, over all heads.
fn apart(config: &ModelConfig, parameters: &StateDict) -> f32 {
    let mut largest = 0.0;
    for layer in 0..config.depth() {
        let layout = config.layer(layer).heads;
        let read = |name: &str| {
            let name = format!("{}.attn.{name}", config.block(layer));
            &parameters.get(&name).expect("a parameter of a block").values
        };
        let (weight, bias) = (read("qkv.weight"), read("qkv.bias"));
        let width = config.layer(layer).embed_dim;
        let whole = |head| {
            let rows = Projection::ALL.map(|role| layout.rows(role, head));
            let weights =
                rows.iter().flat_map(|rows| &weight[rows.start * width..rows.end * width]);
            let biases = rows.iter().flat_map(|rows| &bias[rows.clone()]);
            let columns = read("proj.weight").chunks(layout.attention_dim());
            let columns = columns.flat_map(|row| &row[layout.columns(head)]);
            weights.chain(biases).chain(columns).copied().collect::<Vec<f32>>()
        };
        let copies = layout.num_heads / 2;
        for head in 0..copies {
            let apart = difference(&whole(Head(head)), &whole(Head(head + copies)));
            largest = f32::max(largest, apart);
        }
    }
    largest
}

/// What is left of copies after some steps of SGD, and how far the logits went.
fn after_training<C: Classifier>(model: C, config: &ModelConfig) -> (f32, f32) {
    let before = logits(&model);
    let model = steps(with_autodiff(model), 20, 0.1, &mut SgdConfig::new().init());
    (apart(config, &model.state_dict()), difference(&logits(&model), &before))
}

fn check(ancestor: &ModelConfig) {
    let descendant = descendant(ancestor, NewLayers::Copy);
    let config = &descendant.config;
    assert_eq!(apart(config, &descendant.parameters), 0.0);

    let (plain, moved) = after_training(load(&descendant), config);
    assert!(plain < 1e-6 && moved > 0.1, "plain: {plain}, {moved}");

    let of = |heads: &str| after_training(transforming(&descendant, &wanted("", heads)), config);
    let (scale_shift, moved) = of("scale-shift");
    assert!(scale_shift < 1e-6 && moved > 0.1, "scale-shift: {scale_shift}, {moved}");
    let (low_rank, moved) = of("low-rank:2");
    assert!(low_rank > 1e-4 && moved > 0.1, "low-rank: {low_rank}, {moved}");
}

/// Equal copies get equal gradients, and equal functions of them too.
#[test]
fn only_low_rank_parts_the_copies_of_a_head_in_a_vit() {
    check(&vit());
}

#[test]
fn only_low_rank_parts_the_copies_of_a_head_in_a_swin() {
    check(&swin());
}
