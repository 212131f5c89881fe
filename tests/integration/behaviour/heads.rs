//! What a head is.

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::Checkpoint;
use learngene_expansion::{Descendant, DescendantConfig, HeadPolicy, Order, ProjectionPolicy};
use learngene_format::Learngene;
use learngene_shape::Shape;
use learngene_tensors::{StateDict, Tensor as HostTensor};

use crate::support::{
    NOTHING_JOINED, checkpoint_in, condensed, descendant, folder, images, largest_gap, load,
    logits, measure, random_parameters, tiny, tiny_ancestor, values,
};

/// A head inherited whole attends as it did in the ancestor. Heads made of three heads of one role,
/// as the published code makes them, attend like none of the ancestor's.
#[test]
fn a_head_is_the_query_key_and_value_of_one_head() {
    let (ancestor, ours) = two_of_six();
    let before = attention(&ancestor.shape, &ancestor.parameters);
    let after = attention(&ours.shape, &ours.parameters);
    for (slot, head) in heads(&ours).into_iter().enumerate() {
        let gap = largest_gap(&after[slot], &before[head]);
        assert!(gap <= 1e-6, "slot {slot} attends unlike head {head}, by {gap}");
    }

    let mut mixed = ours.parameters.clone();
    for name in ["blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias"] {
        let fused = ancestor.parameters.get(name).expect("a parameter of the shape");
        mixed.insert(name, published_heads(fused, ancestor.shape.num_heads()[0], &heads(&ours)));
    }
    for (slot, published) in attention(&ours.shape, &mixed).into_iter().enumerate() {
        for (head, wanted) in before.iter().enumerate() {
            let gap = largest_gap(&published, wanted);
            assert!(gap > 1e-2, "slot {slot} of the published way is head {head}, but for {gap}");
        }
    }
}

/// Without the biases of query and key a head attends otherwise, and without that of its value it
/// hands on something else.
#[test]
fn a_head_keeps_its_biases() {
    let (ancestor, ours) = two_of_six();
    let bias = |parameters: &StateDict| {
        parameters.get("blocks.0.attn.qkv.bias").expect("a parameter of the shape").values.clone()
    };
    let (before, after) = (bias(&ancestor.parameters), bias(&ours.parameters));
    let head_dim = ours.shape.layer(0).heads.head_dim;
    for role in 0..3 {
        for (slot, head) in heads(&ours).into_iter().enumerate() {
            let (from, to) = ((role * 6 + head) * head_dim, (role * 2 + slot) * head_dim);
            assert_eq!(after[to..to + head_dim], before[from..from + head_dim], "role {role}");
        }
    }

    let kept = attention(&ancestor.shape, &ancestor.parameters);
    let mut dropped = ours.parameters.clone();
    let zeros = HostTensor::new([after.len()], vec![0.0; after.len()]);
    dropped.insert("blocks.0.attn.qkv.bias", zeros);
    let published = attention(&ours.shape, &dropped);
    for (slot, head) in heads(&ours).into_iter().enumerate() {
        let gap = largest_gap(&published[slot], &kept[head]);
        assert!(gap > 1e-3, "the bias of head {head} changes attention by {gap} only");
    }
}

/// Where only the inherited heads have a say, a descendant of these alone is the ancestor's
/// function, if the output projection reads each as it did.
#[test]
fn the_output_projection_follows_the_chosen_heads() {
    let shape = tiny();
    let mut parameters = random_parameters(&shape, 5);
    for layer in 0..shape.depth() {
        silence_even_heads(&mut parameters, &shape, layer);
    }
    let ancestor = checkpoint_in(folder().path(), &shape, &parameters);
    // The odd heads look farthest, so that `decreasing` puts them first.
    let mut distances = measure(&ancestor, 2, 2);
    distances.mean_attention_distance = vec![vec![1.0, 11.0, 2.0, 12.0, 3.0, 13.0]; 3];
    let learngene = condensed(&ancestor, &distances, 0.5);

    let gap = |projection| {
        let order = Order::Decreasing;
        let heads = HeadPolicy::Count(3);
        let wanted =
            DescendantConfig { heads, order, projection: Some(projection), ..Default::default() };
        gap_to(&ancestor, &learngene, wanted)
    };
    let followed = gap(ProjectionPolicy::Centroid);
    assert!(followed <= 1e-5, "logits differ by {followed}");
    let published = gap(ProjectionPolicy::Origin);
    assert!(published > 1e-2, "columns that stay where they were differ by {published} only");
}

/// Copies of a head, each with its share of the columns, add up to the head.
#[test]
fn copies_of_a_head_share_its_columns() {
    let ancestor = tiny_ancestor();
    let learngene = condensed(&ancestor, &measure(&ancestor, 8, 8), NOTHING_JOINED);
    for ratio in ["x2", "x4", "x8"] {
        let gap = |projection| {
            let heads: HeadPolicy = ratio.parse().expect("a ratio");
            let wanted =
                DescendantConfig { heads, projection: Some(projection), ..Default::default() };
            gap_to(&ancestor, &learngene, wanted)
        };
        let rescaled = gap(ProjectionPolicy::Rescaled);
        assert!(rescaled <= 1e-5, "{ratio}: logits differ by {rescaled}");
        let published = gap(ProjectionPolicy::Origin);
        assert!(published > 1e-2, "{ratio}: unscaled columns differ by {published} only");
    }
}

/// An ancestor of six heads a layer, and a descendant with the two of them that look farthest.
fn two_of_six() -> (Checkpoint, Descendant) {
    let ancestor = tiny_ancestor();
    let learngene = condensed(&ancestor, &measure(&ancestor, 8, 8), NOTHING_JOINED);
    let (heads, order) = (HeadPolicy::Count(2), Order::Decreasing);
    let ours = descendant(&learngene, DescendantConfig { heads, order, ..Default::default() });
    (ancestor, ours)
}

/// The ancestor's head in each slot of the first layer.
fn heads(descendant: &Descendant) -> Vec<usize> {
    descendant.slots[0].iter().map(|slot| slot.head).collect()
}

/// Attention of each head of the first layer, whose tokens do not depend on heads.
fn attention(shape: &Shape, parameters: &StateDict) -> Vec<Vec<f32>> {
    let images = images(2, shape.image().size, &Device::flex());
    let vit = load(shape, parameters, &images.device());
    let weights: Tensor<4> = vit.forward_attention(images).attention.swap_remove(0);
    (0..shape.num_heads()[0])
        .map(|head| values(weights.clone().slice_dim(1, head..head + 1))) // [batch, 1, queries, keys]
        .collect()
}

/// Heads of a fused weight or bias as the published code takes them, its rows read as
/// `[num_heads, 3 * head_dim]`.
fn published_heads(fused: &HostTensor, num_heads: usize, heads: &[usize]) -> HostTensor {
    let length = fused.values.len() / num_heads;
    let taken = heads.iter().flat_map(|head| &fused.values[head * length..(head + 1) * length]);
    let mut shape = fused.shape.clone();
    shape[0] = shape[0] / num_heads * heads.len();
    HostTensor::new(shape, taken.copied().collect())
}

/// Multiplies the columns of heads 0, 2, 4 .. by zero.
fn silence_even_heads(parameters: &mut StateDict, shape: &Shape, layer: usize) {
    let name = format!("blocks.{layer}.attn.proj.weight");
    let mut weight = parameters.remove(&name).expect("a parameter of the shape");
    let head_dim = shape.layer(layer).heads.head_dim;
    let columns = weight.shape[1];
    for (index, value) in weight.values.iter_mut().enumerate() {
        *value *= (index % columns / head_dim % 2) as f32;
    }
    parameters.insert(name, weight);
}

/// How far the logits of a descendant are from the ancestor's.
fn gap_to(ancestor: &Checkpoint, learngene: &Learngene, wanted: DescendantConfig) -> f32 {
    let images = images(4, ancestor.shape.image().size, &Device::flex());
    let ours = descendant(learngene, wanted);
    let found = logits(&ours.shape, &ours.parameters, images.clone());
    largest_gap(&found, &logits(&ancestor.shape, &ancestor.parameters, images))
}
