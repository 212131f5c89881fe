//! Shapes of all sizes, and what is counted of them.

use std::collections::BTreeMap;

use burn::tensor::Device;
use learngene_expansion::{Descendant, DescendantConfig, HeadPolicy, LayerPolicy, from_scratch};
use learngene_shape::{Family, Shape, Vit};
use learngene_tensors::{StateDict, Tensor as HostTensor};

use crate::support::{
    GOLDEN_VITS, NOTHING_JOINED, SOME_JOINED, condensed, descendant, images, logits, measure,
    tensors_of, tiny_ancestor,
};

/// The published code stops at 12 layers and knows 3, 6 and 12 heads.
#[test]
fn any_depth_and_any_number_of_heads() {
    let ancestor = tiny_ancestor();
    let learngene = condensed(&ancestor, &measure(&ancestor, 8, 8), SOME_JOINED);
    for (depth, heads) in [(1, 5), (13, 7), (16, 1), (24, 11)] {
        for layers in [LayerPolicy::Front, LayerPolicy::Even, LayerPolicy::Last] {
            let wanted = DescendantConfig {
                depth: depth.into(),
                layers,
                heads: HeadPolicy::Count(heads),
                ..Default::default()
            };
            check_runs(&descendant(&learngene, wanted), &vec![heads; depth]);
        }
    }
    // Another number in every layer.
    let counts: Vec<usize> = (1..=14).collect();
    let wanted = DescendantConfig {
        depth: 14.into(),
        heads: HeadPolicy::List(counts.clone()),
        ..Default::default()
    };
    check_runs(&descendant(&learngene, wanted), &counts);
}

fn check_runs(descendant: &Descendant, num_heads: &[usize]) {
    assert_eq!(descendant.shape.num_heads(), num_heads);
    let input = images(2, descendant.shape.image().size, &Device::flex());
    let logits = logits(&descendant.shape, &descendant.parameters, input);
    assert!(logits.iter().all(|value| value.is_finite()), "{num_heads:?}: {logits:?}");
}

/// Every value of the checkpoint's file counts once, those of the fused qkv too, which the
/// published counter misses.
#[test]
fn parameters_are_those_in_the_file() {
    for golden in GOLDEN_VITS {
        let tensors = tensors_of(&golden.bytes("timm.safetensors"));
        assert_eq!(golden.read().shape.count_parameters(), total(&tensors), "{golden:?}");
    }

    let ancestor = tiny_ancestor();
    let learngene = condensed(&ancestor, &measure(&ancestor, 8, 8), SOME_JOINED);
    for heads in [vec![6, 6, 6], vec![5, 1, 7], vec![48, 2, 3, 11]] {
        let wanted = DescendantConfig {
            depth: heads.len().into(),
            heads: HeadPolicy::List(heads.clone()),
            ..Default::default()
        };
        let ours = descendant(&learngene, wanted);
        let counted = ours.shape.count_parameters();
        assert_eq!(counted, ours.parameters.num_parameters() as u64, "{heads:?}");

        let fused = ours.parameters.iter().filter(|(name, _)| name.contains(".attn.qkv."));
        let fused: usize = fused.map(|(_, tensor)| tensor.values.len()).sum();
        let (embed_dim, attention_dim) = (24, 4 * heads.iter().sum::<usize>());
        assert_eq!(fused, 3 * attention_dim * (embed_dim + 1));
    }
}

/// I-Params are the values of the learngene that were used, however many copies are made of them.
#[test]
fn inherited_parameters_are_those_of_the_learngene() {
    let ancestor = tiny_ancestor();
    let learngene = condensed(&ancestor, &measure(&ancestor, 8, 8), NOTHING_JOINED);
    let all = ancestor.shape.count_parameters();
    let inherited = |heads: &str, depth: usize| {
        let heads = heads.parse().expect("a number of heads");
        let wanted = DescendantConfig { depth: depth.into(), heads, ..Default::default() };
        descendant(&learngene, wanted).inherited_parameters
    };
    assert_eq!(inherited("same", 3), all);
    assert_eq!(inherited("x8", 9), all);
    // One of six heads of width 4 with its rows, biases and columns, for a token of width 24.
    let head = 3 * 4 * (24 + 1) + 24 * 4;
    assert_eq!(inherited("5", 3), all - 3 * head);
}

/// Each weight once per token that passes it, those of the fused qkv too, and in each head both
/// attention products.
#[test]
fn multiply_accumulates_are_those_of_the_tensors() {
    let small = Vit::new(24, vec![5, 1, 7], 4, vec![60, 7, 33]);
    let narrow = Vit::new(24, vec![2], 16, vec![8]);
    let vits = [
        Vit::uniform(192, 12, 3),
        Vit { image_size: 16, patch_size: 4, ..small },
        Vit { image_size: 48, patch_size: 8, num_classes: 0, ..narrow },
    ];
    for vit in vits {
        let shape = vit.shape().expect("a possible shape");
        let parameters = from_scratch(&shape, 0);
        assert_eq!(shape.count_macs(), macs_of_tensors(&shape, &parameters), "{shape:?}");
    }

    // DeiT-B by hand: 196 patches and the class token, 12 heads of width 64.
    let stem = 196 * (3 * 16 * 16) * 768;
    let projections = 197 * (768 * 3 * 768 + 768 * 768);
    let products = 12 * (197 * 64 * 197) * 2;
    let mlp = 197 * (768 * 3072) * 2;
    let by_hand = stem + 12 * (projections + products + mlp) + 768 * 1000;
    assert_eq!(by_hand, 17_563_828_224);
    let deit_base = Shape::preset("deit_base_patch16_224").expect("a preset");
    assert_eq!(deit_base.count_macs(), by_hand);
    assert_eq!(deit_base.count_parameters(), 86_567_656);
}

fn total(tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> u64 {
    tensors.values().map(|(_, values)| values.len() as u64).sum()
}

fn macs_of_tensors(shape: &Shape, parameters: &StateDict) -> u64 {
    let tokens = shape.layer(0).field.tokens();
    let patches = tokens - 1;
    let macs = |(name, HostTensor { shape, values }): (&str, &HostTensor)| match name {
        "patch_embed.proj.weight" => patches * values.len(),
        // The class token alone reaches the classifier.
        "head.weight" => values.len(),
        // Query and key, then attention and value, in rows of `[3, num_heads * head_dim]`.
        name if name.ends_with("qkv.weight") => {
            tokens * values.len() + 2 * tokens * tokens * shape[0] / 3
        }
        name if name.starts_with("blocks.") && shape.len() == 2 => tokens * values.len(),
        _ => 0,
    };
    parameters.iter().map(macs).sum::<usize>() as u64
}
