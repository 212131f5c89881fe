//! Numbers that a learngene stores, by what is kept.

use learngene_models::{ModelConfig, checkpoint::Dtype};

use crate::{ancestor::Ancestor, content::HeadPart};

/// Counts of parameters, from which those of any learngene of an ancestor follow.
pub(super) struct Sizes {
    /// All of the ancestor.
    pub ancestor: u64,
    /// Those that are neither of a head nor of a feed-forward network, nor of the classifier.
    rest: u64,
    /// `[layer]`: of one head.
    head: Vec<u64>,
    /// `[layer]`: of the feed-forward network.
    network: Vec<u64>,
    bytes_each: u64,
}

impl Sizes {
    pub fn of(ancestor: Ancestor<'_>, dtype: Dtype) -> Self {
        let config = ancestor.config();
        let shapes = config.parameter_shapes();
        let count = |shape: &Vec<usize>| shape.iter().product::<usize>() as u64;
        let all: u64 = shapes.values().map(count).sum();
        let of_classifier = shapes.iter().filter(|(name, _)| name.starts_with(config.head()));
        let classifier: u64 = of_classifier.map(|(_, shape)| count(shape)).sum();
        let head: Vec<u64> = (0..config.depth()).map(|layer| of_head(config, layer)).collect();
        let network: Vec<u64> =
            (0..config.depth()).map(|layer| of_network(config, layer)).collect();
        let of_heads =
            config.num_heads().into_iter().zip(&head).map(|(heads, each)| heads as u64 * each);
        let parts = of_heads.sum::<u64>() + network.iter().sum::<u64>();
        Self {
            ancestor: all,
            rest: all - classifier - parts,
            head,
            network,
            bytes_each: match dtype {
                Dtype::F32 => 4,
                Dtype::F16 | Dtype::BF16 => 2,
            },
        }
    }

    /// Of so many heads of a layer.
    pub fn heads(&self, layer: usize, heads: usize) -> u64 {
        self.head[layer] * heads as u64
    }

    /// Of everything but heads, where the first layer of each group stands for its network.
    pub fn without_heads(&self, groups: &[Vec<usize>]) -> u64 {
        // Layers of a group have networks of one shape.
        self.rest + groups.iter().map(|layers| self.network[layers[0]]).sum::<u64>()
    }

    /// Bytes of so many numbers in the ancestor's format.
    pub fn bytes(&self, parameters: u64) -> u64 {
        parameters * self.bytes_each
    }
}

fn of_head(config: &ModelConfig, layer: usize) -> u64 {
    let shape = config.layer(layer);
    let (width, head_dim) = (shape.embed_dim, shape.heads.head_dim);
    let of_part = |part: HeadPart| match part {
        HeadPart::Weight(_) | HeadPart::ProjectionColumns => width * head_dim,
        HeadPart::Bias(_) => head_dim,
        HeadPart::RelativePosition => shape.relative_positions.unwrap_or(0),
    };
    HeadPart::of(shape).map(of_part).sum::<usize>() as u64
}

fn of_network(config: &ModelConfig, layer: usize) -> u64 {
    let shape = config.layer(layer);
    let (width, hidden) = (shape.embed_dim, shape.mlp_hidden_dim);
    (2 * width * hidden + width + hidden) as u64
}
