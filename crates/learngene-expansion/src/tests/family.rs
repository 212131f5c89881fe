//! A family that nobody registered, with another stem and another classifier, goes the whole way.

use learngene_shape::{
    Axis, Family, FfnKind, FfnShape, Field, HeadLayout, ImageShape, Init, LayerShape, Parameter,
    Part, Place, Preset, Reshape,
};
use learngene_tensors::Result;
use serde::{Deserialize, Serialize};

use super::support::{
    Condensing, check_heads, check_whole, config, expanded, inherit_all, random_parameters, whole,
};
use crate::{
    auto_learngene, from_scratch, heuristic_learngene, pretraining_finetuning, weight_selection,
    weight_transformation,
};

/// Layers without biases but those of norms, over overlapping patches without positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Toy {
    embed_dim: usize,
    num_heads: Vec<usize>,
    hidden_dim: Vec<usize>,
    num_classes: usize,
}

fn toy() -> Toy {
    Toy { embed_dim: 6, num_heads: vec![2, 3, 2], hidden_dim: vec![9, 9, 5], num_classes: 4 }
}

impl Family for Toy {
    const KEY: &'static str = "toy";
    const PRESETS: &'static [Preset<Self>] = &[("toy", toy)];

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn image(&self) -> ImageShape {
        ImageShape { size: 8, patch_size: 2, channels: 1 }
    }

    fn num_classes(&self) -> usize {
        self.num_classes
    }

    fn layers(&self) -> Vec<LayerShape> {
        let field = Field { prefix: 0, resolution: 4, window: 4, shift: 0, token_pixels: 2 };
        let layer = |(&num_heads, &hidden_dim): (&usize, &usize)| LayerShape {
            stage: 0,
            embed_dim: self.embed_dim,
            heads: HeadLayout { num_heads, head_dim: 2 },
            ffn: FfnShape { hidden_dim, kind: FfnKind::Mlp },
            field,
        };
        self.num_heads.iter().zip(&self.hidden_dim).map(layer).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let weight = |name: String, place, axes: Vec<Axis>| {
            let init = Init::Normal { std: 0.5 };
            Parameter { name, place, axes, init, decays: true }
        };
        let gain = |name: String, place, axis| {
            let init = Init::Constant(0.25);
            Parameter { name, place, axes: vec![axis], init, decays: false }
        };
        let stream = Axis::Stream { stage: 0, width: self.embed_dim };
        let stem = vec![stream, Axis::Fixed(1), Axis::Fixed(3), Axis::Fixed(3)];
        let mut list = vec![
            weight("tokenizer.conv.weight".into(), Place::Stem, stem),
            gain("tokenizer.gain".into(), Place::Stem, stream),
        ];
        for (layer, of) in self.layers().into_iter().enumerate() {
            let place = |part| Place::Layer { layer, part };
            let name = |name: &str| format!("encoder.{layer}.{name}");
            let heads = |roles| Axis::Heads { roles, layout: of.heads };
            let hidden = Axis::Hidden { parts: 1, width: of.ffn.hidden_dim };
            list.extend([
                gain(name("before.gain"), place(Part::Norm1), stream),
                weight(name("mix.in.weight"), place(Part::Attention), vec![heads(3), stream]),
                weight(name("mix.out.weight"), place(Part::Attention), vec![stream, heads(1)]),
                gain(name("between.gain"), place(Part::Norm2), stream),
                weight(name("up.weight"), place(Part::Ffn), vec![hidden, stream]),
                weight(name("down.weight"), place(Part::Ffn), vec![stream, hidden]),
            ]);
        }
        list.push(gain("after.gain".into(), Place::FinalNorm, stream));
        if self.num_classes > 0 {
            let axes = vec![Axis::Classes(self.num_classes), stream];
            list.push(weight("verdict.weight".into(), Place::Classifier, axes));
        }
        list
    }

    fn reshaped(&self, to: &Reshape) -> Result<Self> {
        let mut toy = self.clone();
        if let Some(layers) = &to.layers {
            let sizes = layers.iter().flatten().map(|layer| (layer.num_heads, layer.hidden_dim));
            (toy.num_heads, toy.hidden_dim) = sizes.unzip();
        }
        toy.embed_dim = to.embed_dim.unwrap_or(self.embed_dim);
        toy.num_classes = to.num_classes.unwrap_or(self.num_classes);
        Ok(toy)
    }
}

#[test]
fn a_family_that_nobody_knows_is_initialised_and_expanded() {
    let shape = toy().shape().expect("possible");
    let scratch = from_scratch(&shape, 1);
    scratch.check_against(&shape.parameter_shapes()).expect("every parameter");
    let gain = scratch.get("encoder.1.between.gain").expect("a norm");
    assert_eq!(gain.values, [0.25; 6]);

    let (parameters, learngene) = whole(&shape);
    assert_eq!(expanded(&learngene, &inherit_all()).parameters, parameters);
    let joined = Condensing {
        labels: vec![vec![Some(0); 2], vec![Some(0), Some(1), Some(0)], vec![Some(0), Some(1)]],
        ffn_groups: vec![vec![0, 1], vec![2]],
        ..Condensing::nothing_joined(&shape)
    };
    let joined = joined.condense(&shape, &parameters);
    let found = expanded(&joined, &config(r#"{"depth":"5","layers":"even","heads":"4"}"#));
    check_heads(&found, &shape, &parameters);
    assert_eq!(found.ffn, [0, 0, 0, 0, 2]);
    let down = |layer: usize| format!("encoder.{layer}.down.weight");
    assert_eq!(found.parameters.get(&down(2)), parameters.get(&down(0)));
    let fresh = found.parameters.get("verdict.weight").expect("a classifier");
    assert_ne!(Some(fresh), parameters.get("verdict.weight"));

    let grown = config(r#"{"depth":"4","new_layers":"identity","embed_dim":12}"#);
    let grown = expanded(&learngene, &grown).parameters;
    for name in ["encoder.3.mix.out.weight", "encoder.3.down.weight"] {
        assert!(grown.get(name).expect("the last layer").values.iter().all(|x| *x == 0.0));
    }
    assert!(grown.get("encoder.2.down.weight").expect("a layer").values.iter().all(|x| *x != 0.0));
}

#[test]
fn it_takes_every_way_that_others_take() {
    let shape = toy().shape().expect("possible");
    let parameters = random_parameters(&shape);
    let config = config(r#"{"depth":"2","heads":"1","embed_dim":4,"mlp_ratio":"1"}"#);
    for found in [
        pretraining_finetuning(&parameters, &shape, &config),
        heuristic_learngene(&parameters, &shape, Some(1), &config),
        auto_learngene(&parameters, &shape, Some(1), &config),
        weight_transformation(&parameters, &shape, None, &config),
        weight_selection(&parameters, &shape, &config),
    ] {
        check_whole(&found.expect("a smaller model"));
    }
}
