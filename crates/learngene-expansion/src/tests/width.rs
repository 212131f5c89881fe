//! Descendants of another width.

use learngene_shape::{Axis, Family, FfnKind, Parameter, Part, Place, Shape, Vit};
use learngene_tensors::{StateDict, Tensor};
use proptest::prelude::*;

use super::{
    forward::{distance, logits},
    support::{
        Condensing, config, expanded, inherit_all, of_layer, random_parameters, tiny, tiny_swin,
        tiny_vit, whole,
    },
};
use crate::{Descendant, DescendantConfig};

fn of_width(ancestor: &Shape, embed_dim: usize, mlp_ratio: Option<&str>) -> Descendant {
    let mlp_ratio = mlp_ratio.map(|ratio| ratio.parse().expect("a ratio"));
    let config = DescendantConfig { embed_dim: Some(embed_dim), mlp_ratio, ..inherit_all() };
    expanded(&whole(ancestor).1, &config)
}

/// FFNs of three widths, gated.
fn gated() -> Shape {
    let vit = Vit { hidden_dim: vec![40, 24, 30], ffn: FfnKind::SwiGlu, ..tiny_vit() };
    vit.shape().expect("possible")
}

/// Each channel, and each hidden unit, twice or three times: read with half or a third of its
/// weight each.
#[test]
fn repeating_every_channel_keeps_the_function() {
    for ancestor in [tiny(), tiny_swin(), gated()] {
        let expected = logits(&ancestor, &random_parameters(&ancestor));
        for times in [2, 3] {
            let descendant = of_width(&ancestor, times * ancestor.embed_dim(), None);
            let worst = distance(&descendant, &expected);
            assert!(worst <= 1e-5, "{times} times: logits differ by {worst}");
        }
    }
}

/// 40 hidden units become 72, some of them twice; so do 24 and 30.
#[test]
fn repeating_hidden_units_keeps_the_function() {
    for ancestor in [tiny(), gated()] {
        let expected = logits(&ancestor, &random_parameters(&ancestor));
        let descendant = of_width(&ancestor, 24, Some("3"));
        assert!(descendant.shape.layers().iter().all(|layer| layer.ffn.hidden_dim == 72));
        let worst = distance(&descendant, &expected);
        assert!(worst <= 1e-5, "logits differ by {worst}");
    }
}

#[test]
fn any_width_gives_a_whole_model() {
    for embed_dim in [3, 6, 15, 27] {
        assert_eq!(of_width(&tiny_swin(), embed_dim, Some("2")).shape.embed_dim(), embed_dim);
    }
}

#[test]
fn a_narrow_descendant_counts_what_it_took() {
    let descendant = of_width(&tiny(), 12, None);
    assert_eq!(descendant.inherited_parameters, descendant.shape.count_parameters());
    // Heads that are there four times count once.
    let config = config(r#"{"heads":"x4","embed_dim":12,"classifier":"inherit"}"#);
    let copied = expanded(&whole(&tiny()).1, &config);
    assert_eq!(copied.inherited_parameters, descendant.inherited_parameters);
    // A wide one holds everything of its ancestor, several times.
    assert_eq!(of_width(&tiny(), 48, None).inherited_parameters, tiny().count_parameters());
}

/// Layers of an ancestor whose FFNs differ in width come whole, wherever they go.
#[test]
fn a_layer_takes_the_hidden_width_of_its_source() {
    let (parameters, learngene) = whole(&gated());
    let config = config(r#"{"layers":"2,0,1,1","order":"origin"}"#);
    let descendant = expanded(&learngene, &config);
    let widths = descendant.shape.layers().iter().map(|layer| layer.ffn.hidden_dim);
    assert_eq!(widths.collect::<Vec<_>>(), [30, 40, 24, 24]);
    for (layer, source) in [2, 0, 1, 1].into_iter().enumerate() {
        let found = of_layer(&descendant.shape, &descendant.parameters, layer).into_iter();
        let expected = of_layer(&gated(), &parameters, source);
        assert!(found.map(|(_, tensor)| tensor).eq(expected.into_iter().map(|(_, tensor)| tensor)));
    }
}

/// The axis along which the residual stream lies.
fn stream_axis(parameter: &Parameter) -> Option<usize> {
    parameter.axes.iter().position(|axis| matches!(axis, Axis::Stream { .. }))
}

/// Parameters in which each value is its channel of the residual stream: what writes the stream
/// along the first axis (tokens along the last), what reads it along the second.
fn marked(ancestor: &Shape) -> StateDict {
    let mark = |parameter: Parameter| {
        let shape = parameter.shape();
        let axis = stream_axis(&parameter).unwrap_or(0);
        let inner: usize = shape[axis + 1..].iter().product();
        let value = |index: usize| (index / inner % shape[axis]) as f32;
        let values = (0..parameter.count()).map(value).collect();
        (parameter.name, Tensor::new(shape, values))
    };
    ancestor.parameters().into_iter().map(mark).collect()
}

proptest! {
    /// Whatever writes the residual stream and whatever reads it agree on which channel of the
    /// ancestor each channel is.
    #[test]
    fn selected_channels_agree_through_the_residual_stream(embed_dim in 1usize..80) {
        let learngene = Condensing::nothing_joined(&tiny()).condense(&tiny(), &marked(&tiny()));
        let mlp_ratio = Some("1".parse().expect("a ratio"));
        let config = DescendantConfig { embed_dim: Some(embed_dim), mlp_ratio, ..inherit_all() };
        let descendant = expanded(&learngene, &config);
        let channels = &descendant.parameters.get("norm.weight").expect("a norm").values;
        let copies =
            |channel: f32| channels.iter().filter(|other| **other == channel).count() as f32;
        for parameter in descendant.shape.parameters() {
            let values = &descendant.parameters.get(&parameter.name).expect("whole").values;
            let name = &parameter.name;
            let Some(axis) = stream_axis(&parameter) else { continue };
            let inner: usize = parameter.shape()[axis + 1..].iter().product();
            // An FFN's second matrix also shares weights among copies of its hidden units.
            let is_ffn = matches!(parameter.place, Place::Layer { part: Part::Ffn, .. });
            if is_ffn && axis == 0 && inner > 1 {
                continue;
            }
            for (index, value) in values.iter().enumerate() {
                let channel = channels[index / inner % embed_dim];
                let copies = if parameter.reads(axis) { copies(channel) } else { 1.0 };
                prop_assert!((value * copies - channel).abs() < 1e-3, "{}", name);
            }
        }
    }
}
