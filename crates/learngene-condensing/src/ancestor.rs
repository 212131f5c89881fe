//! An ancestor's parameters, read as what a learngene keeps of them: tensors and parts of heads.

use std::borrow::Cow;

use learngene_format::{LayerClusters, RepresentativePolicy};
use learngene_models::{Head, HostTensor, ModelConfig, checkpoint::Checkpoint};

use crate::{content::HeadPart, error::ClusteringError};

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
pub(crate) struct Ancestor<'a> {
    checkpoint: &'a Checkpoint,
}

impl<'a> Ancestor<'a> {
    pub(crate) fn new(checkpoint: &'a Checkpoint) -> Result<Self, ClusteringError> {
        checkpoint.parameters.check_against(&checkpoint.config.parameter_shapes())?;
        Ok(Self { checkpoint })
    }

    pub(crate) fn config(self) -> &'a ModelConfig {
        &self.checkpoint.config
    }

    /// The tensor of that name, `None` where the ancestor has none, such as a classifier.
    pub(crate) fn whole(self, name: &str) -> Option<&'a HostTensor> {
        self.checkpoint.parameters.get(name)
    }

    /// Average of tensors of one shape, in f64; of one alone the tensor itself, to the bit.
    ///
    /// # Errors
    /// When the ancestor has no tensor of one of the names.
    pub(crate) fn average(self, names: &[String]) -> Result<Cow<'a, [f32]>, ClusteringError> {
        let find = |name: &String| match self.whole(name) {
            Some(tensor) => Ok(tensor.values.as_slice()),
            None => Err(ClusteringError::MissingTensor { name: name.clone() }),
        };
        if let [name] = names {
            return Ok(Cow::Borrowed(find(name)?));
        }
        let tensors = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        Ok(Cow::Owned(mean(tensors.into_iter().map(|values| values.iter().copied()))))
    }

    /// Average of one part over heads of a layer, in f64; of one head the part itself, to the bit.
    ///
    /// # Shapes
    /// - output: that of [`HeadPart`], row-major
    pub(crate) fn average_head(self, part: HeadPart, layer: usize, heads: &[usize]) -> Vec<f32> {
        match heads {
            [head] => self.part(part, layer, Head(*head)).collect(),
            _ => mean(heads.iter().map(|head| self.part(part, layer, Head(*head)))),
        }
    }

    /// One part of one head, in the order of [`HeadPart`]'s shapes.
    fn part(self, part: HeadPart, layer: usize, head: Head) -> Box<dyn Iterator<Item = f32> + 'a> {
        let shape = self.checkpoint.config.layer(layer);
        let layout = shape.heads;
        match part {
            HeadPart::Weight(projection) => {
                let rows = layout.rows(projection, head);
                let values = self.attention(layer, "qkv.weight");
                let width = shape.embed_dim;
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
            HeadPart::RelativePosition => {
                let rows = self.attention(layer, "relative_position_bias_table");
                Box::new(rows.chunks_exact(layout.num_heads).map(move |row| row[head.0]))
            }
        }
    }

    fn attention(self, layer: usize, tensor: &str) -> &'a [f32] {
        let name = format!("{}.attn.{tensor}", self.checkpoint.config.block(layer));
        &self.whole(&name).expect("names and shapes were checked by `new`").values
    }
}

/// Mean of lists of one length, summed in f64 in their order.
fn mean(lists: impl ExactSizeIterator<Item = impl Iterator<Item = f32>>) -> Vec<f32> {
    let count = lists.len() as f64;
    let mut sums: Vec<f64> = Vec::new();
    for values in lists {
        let values = values.map(f64::from);
        if sums.is_empty() {
            sums = values.collect();
        } else {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}
