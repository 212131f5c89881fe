//! LayerScale (<https://arxiv.org/abs/2103.17239>, section 2), folded into the weights before it.
//!
//! A branch of a layer ends in a linear map `W x + b` whose output is multiplied by `gamma`, element
//! by element: `gamma * (W x + b) = (diag(gamma) W) x + gamma * b`, so the rows of `W` and the
//! elements of `b` take the factor, and the model is a plain ViT.

use std::collections::BTreeMap;

use super::container::{Container, Header};
use crate::StateDict;

/// Each scale of a layer with the linear map that it follows, by timm's names.
const SCALED: [(&str, &str); 2] = [("ls1.gamma", "attn.proj"), ("ls2.gamma", "mlp.fc2")];

/// The scales of a file.
pub(super) struct LayerScales(BTreeMap<String, Header>);

impl LayerScales {
    /// Takes the scales out of a file's tensors; none where it has no LayerScale.
    pub fn extract(container: &mut Container) -> Option<Self> {
        let is_scale = |name: &str| SCALED.iter().any(|(scale, _)| is_of_layer(name, scale));
        let scales: BTreeMap<_, _> =
            container.headers.extract_if(.., |name, _| is_scale(name)).collect();
        (!scales.is_empty()).then_some(Self(scales))
    }

    /// Puts them back to be checked as any other tensor is; returns what there should be for a model
    /// of that depth and width, by name and shape.
    pub fn wanted(
        self,
        container: &mut Container,
        depth: usize,
        embed_dim: usize,
    ) -> impl Iterator<Item = (String, Vec<usize>)> {
        container.headers.extend(self.0);
        names(depth).map(move |(scale, _)| (scale, vec![embed_dim]))
    }
}

/// Multiplies the linear maps of a model of that depth by its scales.
///
/// # Errors
/// Those of `values`, which reads a scale.
pub(super) fn fold<E>(
    parameters: &mut StateDict,
    depth: usize,
    values: impl Fn(&str) -> Result<Vec<f32>, E>,
) -> Result<(), E> {
    for (scale, linear) in names(depth) {
        let scale = values(&scale)?;
        for leaf in ["weight", "bias"] {
            let name = format!("{linear}.{leaf}");
            let Some(mut tensor) = parameters.remove(&name) else { continue };
            // [embed_dim, in] and [embed_dim]: a factor for each row.
            let row = tensor.values.len() / scale.len();
            for (row, factor) in tensor.values.chunks_exact_mut(row).zip(&scale) {
                row.iter_mut().for_each(|value| *value *= factor);
            }
            parameters.insert(name, tensor);
        }
    }
    Ok(())
}

/// Every scale and the linear map that it follows.
fn names(depth: usize) -> impl Iterator<Item = (String, String)> {
    (0..depth).flat_map(|layer| {
        SCALED.map(|(scale, linear)| {
            (format!("blocks.{layer}.{scale}"), format!("blocks.{layer}.{linear}"))
        })
    })
}

/// Whether `name` is `blocks.N.` followed by `module`.
fn is_of_layer(name: &str, module: &str) -> bool {
    let layer = name.strip_prefix("blocks.").and_then(|rest| rest.strip_suffix(module));
    layer.and_then(|layer| layer.strip_suffix('.')).is_some_and(|n| n.parse::<usize>().is_ok())
}
