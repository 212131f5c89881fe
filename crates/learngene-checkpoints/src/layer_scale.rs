//! LayerScale (<https://arxiv.org/abs/2103.17239>, section 2), folded into the weights before it.
//!
//! A branch of a layer ends in a linear map `W x + b` whose output is multiplied by `gamma`, element
//! by element: `gamma * (W x + b) = (diag(gamma) W) x + gamma * b`, so the rows of `W` and the
//! elements of `b` take the factor, and the model is a plain ViT.

use std::collections::BTreeMap;

use learngene_shape::{Family, Shape, Vit};
use learngene_tensors::{Result, StateDict};

use crate::{Dialect, names::Names};

/// Each scale of a layer with the linear map that it follows, by timm's names.
const SCALED: [(&str, &str); 2] = [("ls1.gamma", "attn.proj"), ("ls2.gamma", "mlp.fc2")];

/// Names and shapes of all scales of the model in a file of these names; none where it has no
/// LayerScale.
pub(crate) fn wanted<'a>(
    names: Names,
    stored: impl Iterator<Item = &'a str>,
    shape: &Shape,
) -> BTreeMap<String, Vec<usize>> {
    let mut stored = stored;
    let is_scale = |name: &str| SCALED.iter().any(|(scale, _)| name.ends_with(scale));
    if (names.family(), names.dialect()) != (Vit::KEY, Dialect::Timm) || !stored.any(is_scale) {
        return BTreeMap::new();
    }
    scales(shape.depth()).map(|(scale, _)| (scale, vec![shape.embed_dim()])).collect()
}

/// Multiplies the linear maps of a model of that depth by its scales.
///
/// # Errors
/// Those of `values`, which reads a scale.
pub(crate) fn fold(
    parameters: &mut StateDict,
    depth: usize,
    values: impl Fn(&str) -> Result<Vec<f32>>,
) -> Result<()> {
    for (scale, linear) in scales(depth) {
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
fn scales(depth: usize) -> impl Iterator<Item = (String, String)> {
    (0..depth).flat_map(|layer| {
        SCALED.map(|(scale, linear)| {
            (format!("blocks.{layer}.{scale}"), format!("blocks.{layer}.{linear}"))
        })
    })
}
