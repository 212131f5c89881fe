//! An ancestor's parameters, read as what a learngene keeps of them: tensors and parts of heads.

use std::fmt;

use learngene_format::{LayerClusters, Manifest, RepresentativePolicy};
use learngene_models::{Head, HostTensor, Projection, checkpoint::Checkpoint};
use serde::{Serialize, Serializer};

use crate::error::ClusteringError;

/// One part of a head, as a learngene stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadPart {
    /// Rows of the fused `qkv` weight: `[head_dim, embed_dim]`.
    Weight(Projection),
    /// Entries of the fused `qkv` bias: `[head_dim]`.
    Bias(Projection),
    /// Columns of the output projection that read the head: `[embed_dim, head_dim]`.
    ProjectionColumns,
}

impl HeadPart {
    /// All seven; together they are a whole head.
    pub const ALL: [Self; 7] = {
        use Projection::{Key, Query, Value};
        [
            Self::Weight(Query),
            Self::Bias(Query),
            Self::Weight(Key),
            Self::Bias(Key),
            Self::Weight(Value),
            Self::Bias(Value),
            Self::ProjectionColumns,
        ]
    };

    /// Name of the learngene's tensor that holds this part of each centroid of a layer.
    pub(crate) fn tensor_name(self, layer: usize) -> String {
        format!("layers.{layer}.attn.{self}")
    }
}

/// The name under which a learngene's layer stores the part, such as `q.weight`.
impl fmt::Display for HeadPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight(projection) => write!(f, "{}.weight", projection.letter()),
            Self::Bias(projection) => write!(f, "{}.bias", projection.letter()),
            Self::ProjectionColumns => f.write_str("proj.weight"),
        }
    }
}

impl Serialize for HeadPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a tensor of a learngene is of its ancestor.
#[derive(Debug, PartialEq)]
pub(crate) enum Content {
    /// The tensor of this name, whole.
    Whole(String),
    /// A part of each centroid head of a layer, in order of priority.
    Heads { layer: usize, part: HeadPart },
}

impl Content {
    /// Reads the name of a tensor, one of the format's.
    pub(crate) fn of(name: &str, manifest: &Manifest) -> Self {
        let number = |text: &str| text.parse().expect("the format numbers layers and groups");
        match *name.splitn(3, '.').collect::<Vec<_>>() {
            ["ffn", group, tensor] => {
                let group: usize = number(group);
                // Groups are of one layer each until FFNs are condensed too.
                let layer = manifest.ffn_groups[group][0];
                Self::Whole(format!("blocks.{layer}.mlp.{tensor}"))
            }
            ["layers", layer, "attn.proj.origin"] => {
                Self::Whole(format!("blocks.{layer}.attn.proj.weight"))
            }
            ["layers", layer, tensor] => {
                let layer = number(layer);
                match HeadPart::ALL.into_iter().find(|part| part.tensor_name(layer) == name) {
                    Some(part) => Self::Heads { layer, part },
                    None => Self::Whole(format!("blocks.{layer}.{tensor}")),
                }
            }
            _ => Self::Whole(name.to_owned()),
        }
    }
}

/// For each centroid of a layer, in order of priority, the ancestor's heads whose average it is:
/// one head alone where a member stands for its cluster.
pub(crate) fn centroids(clusters: &LayerClusters, policy: RepresentativePolicy) -> Vec<Vec<usize>> {
    match policy {
        RepresentativePolicy::Nearest => {
            clusters.representatives.iter().map(|head| vec![*head]).collect()
        }
        RepresentativePolicy::Mean => {
            clusters.clusters.iter().map(|cluster| members(clusters, *cluster)).collect()
        }
    }
}

/// Heads of the cluster with this label, in head order.
pub(crate) fn members(clusters: &LayerClusters, cluster: usize) -> Vec<usize> {
    (0..clusters.labels.len()).filter(|head| clusters.labels[*head] == Some(cluster)).collect()
}

/// A checkpoint whose parameters are known to be those of its configuration.
#[derive(Clone, Copy)]
pub(crate) struct Ancestor<'a>(&'a Checkpoint);

impl<'a> Ancestor<'a> {
    pub(crate) fn new(checkpoint: &'a Checkpoint) -> Result<Self, ClusteringError> {
        checkpoint.parameters.check_against(&checkpoint.config.parameter_shapes())?;
        Ok(Self(checkpoint))
    }

    /// The tensor of that name, `None` where the ancestor has none, such as a classifier.
    pub(crate) fn whole(self, name: &str) -> Option<&'a HostTensor> {
        self.0.parameters.get(name)
    }

    /// Average of one part over heads of a layer, in f64; of one head the part itself, to the bit.
    ///
    /// # Shapes
    /// - output: that of [`HeadPart`], row-major
    pub(crate) fn average(self, part: HeadPart, layer: usize, heads: &[usize]) -> Vec<f32> {
        if let [head] = heads {
            return self.part(part, layer, Head(*head)).collect();
        }
        let mut sums: Vec<f64> = Vec::new();
        for head in heads {
            let values = self.part(part, layer, Head(*head)).map(f64::from);
            if sums.is_empty() {
                sums = values.collect();
            } else {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        sums.into_iter().map(|sum| (sum / heads.len() as f64) as f32).collect()
    }

    /// One part of one head, in the order of [`HeadPart`]'s shapes.
    fn part(self, part: HeadPart, layer: usize, head: Head) -> Box<dyn Iterator<Item = f32> + 'a> {
        let layout = self.0.config.head_layout(layer);
        match part {
            HeadPart::Weight(projection) => {
                let width = self.0.config.embed_dim;
                let rows = layout.rows(projection, head);
                let values = self.attention(layer, "qkv.weight");
                Box::new(values[rows.start * width..rows.end * width].iter().copied())
            }
            HeadPart::Bias(projection) => {
                let values = self.attention(layer, "qkv.bias");
                Box::new(values[layout.rows(projection, head)].iter().copied())
            }
            HeadPart::ProjectionColumns => {
                let rows = self.attention(layer, "proj.weight");
                let rows = rows.chunks_exact(layout.attention_dim());
                Box::new(rows.flat_map(move |row| row[layout.columns(head)].iter().copied()))
            }
        }
    }

    fn attention(self, layer: usize, tensor: &str) -> &'a [f32] {
        let name = format!("blocks.{layer}.attn.{tensor}");
        &self.whole(&name).expect("names and shapes were checked by `new`").values
    }
}
