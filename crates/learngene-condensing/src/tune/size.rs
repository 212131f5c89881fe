//! Numbers that a learngene stores, by what is kept.

use learngene_shape::{Parameter, Part, Place, Shape};
use learngene_tensors::Dtype;

/// Counts of parameters, from which those of any learngene of an ancestor follow.
pub(super) struct Sizes {
    /// All of the ancestor.
    pub ancestor: u64,
    /// Those that are neither of a head nor of an FFN, nor of the classifier.
    rest: u64,
    /// `[layer]`: of one head.
    head: Vec<u64>,
    /// `[layer]`: of the FFN.
    ffn: Vec<u64>,
    bytes_each: u64,
}

impl Sizes {
    pub fn of(shape: &Shape, dtype: Dtype) -> Self {
        let (mut head, mut ffn) = (vec![0; shape.depth()], vec![0; shape.depth()]);
        let mut rest = 0;
        for parameter in shape.parameters() {
            let count = parameter.count() as u64;
            match parameter.place {
                Place::Classifier => {}
                Place::Layer { layer, part: Part::Ffn } => ffn[layer] += count,
                Place::Layer { layer, .. } if is_of_heads(&parameter) => {
                    head[layer] += count / shape.layer(layer).heads.num_heads as u64;
                }
                _ => rest += count,
            }
        }
        let bytes_each = dtype.size() as u64;
        Self { ancestor: shape.count_parameters(), rest, head, ffn, bytes_each }
    }

    /// Of so many heads of a layer.
    pub fn heads(&self, layer: usize, heads: usize) -> u64 {
        self.head[layer] * heads as u64
    }

    /// Of everything but heads, where the first layer of each group stands for its FFN.
    pub fn without_heads(&self, groups: &[Vec<usize>]) -> u64 {
        // Layers of a group have FFNs of one shape.
        self.rest + groups.iter().map(|layers| self.ffn[layers[0]]).sum::<u64>()
    }

    /// Bytes of so many numbers in the ancestor's format.
    pub fn bytes(&self, parameters: u64) -> u64 {
        parameters * self.bytes_each
    }
}

fn is_of_heads(parameter: &Parameter) -> bool {
    parameter.head_axis().is_some()
}
