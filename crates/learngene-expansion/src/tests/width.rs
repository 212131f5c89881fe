//! Descendants of another width.

use learngene_models::{HostTensor, ModelConfig, StateDict};
use proptest::prelude::*;

use super::support::{Condensing, difference, logits, random_parameters, tiny, tiny_swin};
use crate::{ClassifierPolicy, Descendant, DescendantConfig, expand};

fn of_width(ancestor: &ModelConfig, embed_dim: usize, mlp_ratio: Option<&str>) -> Descendant {
    let parameters = random_parameters(ancestor);
    let learngene = Condensing::nothing_joined(ancestor).condense(ancestor, &parameters);
    let wanted = DescendantConfig {
        embed_dim: Some(embed_dim),
        mlp_ratio: mlp_ratio.map(|ratio| ratio.parse().expect("a ratio")),
        classifier: ClassifierPolicy::Inherit,
        ..Default::default()
    };
    expand(&learngene, &wanted).expect("whole widths")
}

/// Each channel, and each hidden unit, twice or three times: read with half or a third of its
/// weight each.
#[test]
fn repeating_every_channel_keeps_the_function() {
    for ancestor in [tiny(), tiny_swin()] {
        let wanted = logits(&ancestor, &random_parameters(&ancestor));
        for times in [2, 3] {
            let descendant = of_width(&ancestor, times * ancestor.embed_dim(), None);
            let worst = difference(&logits(&descendant.config, &descendant.parameters), &wanted);
            assert!(worst <= 1e-5, "{times} times: logits differ by {worst}");
        }
    }
}

#[test]
fn repeating_hidden_units_keeps_the_function() {
    let ancestor = tiny();
    let wanted = logits(&ancestor, &random_parameters(&ancestor));
    // 40 hidden units become 72, some of them twice.
    let descendant = of_width(&ancestor, 24, Some("3"));
    let worst = difference(&logits(&descendant.config, &descendant.parameters), &wanted);
    assert!(worst <= 1e-5, "logits differ by {worst}");
}

#[test]
fn any_width_gives_a_whole_model() {
    for (ancestor, widths) in [(tiny(), [9, 12, 30, 54]), (tiny_swin(), [3, 6, 15, 27])] {
        for embed_dim in widths {
            let descendant = of_width(&ancestor, embed_dim, Some("2"));
            let shapes = descendant.config.parameter_shapes();
            assert_eq!(descendant.parameters.check_against(&shapes), Ok(()));
            let logits = logits(&descendant.config, &descendant.parameters);
            assert!(logits.iter().all(|value| value.is_finite()), "{embed_dim}");
        }
    }
}

#[test]
fn a_narrow_descendant_counts_what_it_took() {
    let ancestor = tiny();
    let descendant = of_width(&ancestor, 12, None);
    let count = descendant.parameters.num_parameters() as u64;
    assert_eq!(descendant.inherited_parameters, count);
    // A wide one holds everything of its ancestor, several times.
    let count = random_parameters(&ancestor).num_parameters() as u64;
    assert_eq!(of_width(&ancestor, 48, None).inherited_parameters, count);
}

/// Parameters in which each value tells its channel of the residual stream: what writes the stream
/// along the first axis, what reads it along the second.
fn marked(ancestor: &ModelConfig) -> StateDict {
    let shapes = ancestor.parameter_shapes().into_iter();
    let marked = shapes.map(|(name, shape)| {
        let reads = ["qkv.weight", "fc1.weight"].iter().any(|end| name.ends_with(end))
            || name == "head.weight";
        let axis = match name.as_str() {
            "cls_token" | "pos_embed" => 2,
            _ if reads => 1,
            _ => 0,
        };
        let inner: usize = shape[axis + 1..].iter().product();
        let count = shape.iter().product();
        let value = |index: usize| (index / inner % shape[axis]) as f32;
        (name, HostTensor::new(shape.clone(), (0..count).map(value).collect()))
    });
    marked.collect()
}

proptest! {
    /// Whatever writes the residual stream and whatever reads it agree on which channel of the
    /// ancestor each channel is.
    #[test]
    fn selected_channels_agree_through_the_residual_stream(embed_dim in 1usize..80) {
        let ancestor = tiny();
        let parameters = marked(&ancestor);
        let learngene = Condensing::nothing_joined(&ancestor).condense(&ancestor, &parameters);
        let wanted = DescendantConfig {
            embed_dim: Some(embed_dim),
            mlp_ratio: Some("1".parse().expect("a ratio")),
            classifier: ClassifierPolicy::Inherit,
            ..Default::default()
        };
        let descendant = expand(&learngene, &wanted).expect("any width");
        let channels = &descendant.parameters.get("norm.weight").expect("a norm").values;
        let copies =
            |channel: f32| channels.iter().filter(|other| **other == channel).count() as f32;
        for (name, tensor) in descendant.parameters.iter() {
            let HostTensor { shape, values } = tensor;
            let reads = name.ends_with("qkv.weight")
                || name.ends_with("fc1.weight")
                || name == "head.weight";
            let writes = name.ends_with("proj.weight") && !name.starts_with("patch_embed")
                || name.ends_with("fc2.weight");
            if reads {
                for row in values.chunks_exact(embed_dim) {
                    for (value, channel) in row.iter().zip(channels) {
                        prop_assert!((value * copies(*channel) - channel).abs() < 1e-3, "{}", name);
                    }
                }
            } else if writes && name.ends_with("proj.weight") {
                for (row, channel) in values.chunks_exact(shape[1]).zip(channels) {
                    // Scaled as the projection policy says: nothing is joined, so by one.
                    prop_assert!(row.iter().all(|value| value == channel), "{}", name);
                }
            } else if !writes && name.contains("norm") {
                prop_assert_eq!(values, channels, "{}", name);
            }
        }
    }
}
