//! Distances and clusters that earlier commands wrote.

use std::path::Path;

use anyhow::bail;
use learngene_format::Distances;
use learngene_shape::Shape;
use learngene_tensors::Sha256;

use crate::{
    hub::Source,
    text::{count, layer_list},
};

/// Refuses distances that were measured on another checkpoint than the one of this hash. The shape of
/// its model, where it could be read, helps to see which was meant.
pub fn check_ancestor(
    path: &Path,
    distances: &Distances,
    checkpoint: &Source,
    sha256: Sha256,
    shape: Option<&Shape>,
) -> anyhow::Result<()> {
    let measured = distances.ancestor_sha256;
    if measured == sha256 {
        return Ok(());
    }
    let there = layers(&distances.num_heads(), distances.preprocessing.image_size);
    let compared = match shape.map(|shape| layers(&shape.num_heads(), shape.image().size)) {
        Some(here) if here == there => format!("both have {here}, but other weights"),
        Some(here) => format!("that one had {there}, this one has {here}"),
        None => format!("that one had {there}"),
    };
    bail!(
        "{} was measured on another checkpoint than {checkpoint} ({compared}): its ancestor has the \
         hash {measured}, the checkpoint has {sha256}",
        path.display()
    )
}

/// `12 layers of 6 heads, images of 224 px`.
fn layers(num_heads: &[usize], image_size: usize) -> String {
    let layers = count(num_heads.len(), "layer", "layers");
    format!("{layers} of {} heads, images of {image_size} px", layer_list(num_heads))
}
