//! Folded weights follow from the transformations as documented, checked number by number.

use learngene_models::Classifier;
use learngene_shape::{Head, Projection};
use learngene_tensors::{StateDict, Tensor};

use super::support::*;

/// An element of a tensor.
fn at(tensor: &Tensor, index: &[usize]) -> f32 {
    assert_eq!(index.len(), tensor.shape.len());
    let place = index.iter().zip(&tensor.shape).fold(0, |place, (i, axis)| place * axis + i);
    tensor.values[place]
}

fn sum(count: usize, term: impl Fn(usize) -> f32) -> f32 {
    (0..count).map(term).sum()
}

/// A descendant, what it learnt, and its folded parameters.
struct Learnt {
    descendant: Descendant,
    transformations: StateDict,
    folded: StateDict,
}

impl Learnt {
    fn new(ffn: &str, heads: &str) -> Self {
        let descendant = vit();
        let learnt = trained(descendant.attach(&config(ffn, heads)));
        let (transformations, folded) = (learnt.transformations(), learnt.state_dict());
        Self { descendant, transformations, folded }
    }

    fn learnt(&self, name: &str) -> &Tensor {
        self.transformations.get(name).expect("a documented name")
    }

    /// A parameter before training.
    fn base(&self, name: &str) -> &Tensor {
        self.descendant.parameters.get(name).expect("a parameter of the shape")
    }

    /// Compares a folded parameter with the expected values.
    fn check(&self, name: &str, expected: impl Fn(&[usize]) -> f32) {
        let Tensor { shape, values } = self.folded.get(name).expect("a parameter of the shape");
        let inner = if shape.len() == 2 { shape[1] } else { 1 };
        for (place, value) in values.iter().enumerate() {
            let index = [place / inner, place % inner];
            let expected = expected(&index[..shape.len()]);
            let apart = (value - expected).abs();
            assert!(apart < 1e-5, "{name} {index:?}: {value}, expected {expected}");
        }
    }

    /// Compares both linear layers of every FFN; `expected` is given layer, part, base and index.
    fn check_ffn(&self, expected: impl Fn(usize, &str, &Tensor, &[usize]) -> f32) {
        for layer in 0..self.descendant.shape.depth() {
            for part in ["fc1", "fc2"] {
                for leaf in ["weight", "bias"] {
                    let name = format!("blocks.{layer}.mlp.{part}.{leaf}");
                    self.check(&name, |index| expected(layer, part, self.base(&name), index));
                }
            }
        }
    }
}

#[test]
fn scale_shift() {
    let of = Learnt::new("scale-shift", "");
    of.check_ffn(|layer, part, base, index| {
        let learnt = |leaf: &str| at(of.learnt(&format!("ffn.{layer}.{part}.{leaf}")), &index[..1]);
        let shift = if index.len() == 1 { learnt("shift") } else { 0.0 };
        (1.0 + learnt("scale")) * at(base, index) + shift
    });
}

#[test]
fn low_rank() {
    let of = Learnt::new("low-rank:2", "");
    of.check_ffn(|layer, part, base, index| {
        let learnt = |leaf: &str| of.learnt(&format!("ffn.{layer}.{part}.{leaf}"));
        let (a, b) = (learnt("a"), learnt("b"));
        let addition = match *index {
            [output, input] => sum(2, |rank| at(a, &[input, rank]) * at(b, &[rank, output])),
            _ => at(learnt("shift"), index),
        };
        at(base, index) + addition
    });
}

#[test]
fn cross_layer() {
    let of = Learnt::new("cross-layer:4", "");
    of.check_ffn(|layer, part, base, index| {
        let learnt = |leaf: &str| of.learnt(&format!("mixing.0.{part}.{leaf}"));
        let (inner, offset, outer) = (learnt("inner"), learnt("offset"), learnt("outer"));
        let leaf = if index.len() == 1 { "bias" } else { "weight" };
        // Layers 0, 2 and 4 are the first of their groups.
        let of_base =
            |group: usize| at(of.base(&format!("blocks.{}.mlp.{part}.{leaf}", 2 * group)), index);
        let hidden = |unit: usize| {
            let mixed = sum(3, |group| at(inner, &[unit, group]) * of_base(group));
            f32::max(mixed + at(offset, &[unit]), 0.0)
        };
        at(base, index) + sum(4, |unit| at(outer, &[layer, unit]) * hidden(unit))
    });
}

#[test]
fn low_rank_of_heads() {
    let of = Learnt::new("", "low-rank:2");
    for layer in 0..of.descendant.shape.depth() {
        let heads = of.descendant.shape.layer(layer).heads;
        let learnt = |name: &str| of.learnt(&format!("heads.{layer}.{name}"));
        let product = |part: &str, slot: usize, input: usize, output: usize| {
            let [a, b] = ["a", "b"].map(|leaf| learnt(&format!("{part}.{leaf}")));
            sum(2, |rank| at(a, &[slot, input, rank]) * at(b, &[slot, rank, output]))
        };
        let name = |name: &str| format!("blocks.{layer}.attn.{name}");
        of.check(&name("qkv.weight"), |index| {
            let place = |role| (0..heads.num_heads).map(move |slot| (role, slot));
            let (role, slot) = Projection::ALL
                .into_iter()
                .flat_map(place)
                .find(|&(role, slot)| heads.rows(role, Head(slot)).contains(&index[0]))
                .expect("every row is a head's");
            let unit = index[0] - heads.rows(role, Head(slot)).start;
            let output = role as usize * heads.head_dim + unit;
            at(of.base(&name("qkv.weight")), index) + product("qkv", slot, index[1], output)
        });
        of.check(&name("proj.weight"), |index| {
            let slot = index[1] / heads.head_dim;
            let addition = product("proj", slot, index[1] % heads.head_dim, index[0]);
            at(of.base(&name("proj.weight")), index) + addition
        });
        for part in ["qkv", "proj"] {
            let bias = name(&format!("{part}.bias"));
            let shift = learnt(&format!("{part}.shift"));
            of.check(&bias, |index| at(of.base(&bias), index) + at(shift, index));
        }
    }
}
