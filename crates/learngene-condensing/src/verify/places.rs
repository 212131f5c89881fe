//! Where in an ancestor a part of a head is found.

use std::collections::HashMap;

use learngene_format::Store;
use learngene_shape::{Parameter, average_heads};
use learngene_tensors::{StateDict, Tensor};

use super::{HeadSource, bytes};

/// A part of a source, of those of one number.
pub(super) struct PartOfSource {
    /// Place of the source in their list.
    source: usize,
    is_matrix: bool,
    tensor: Tensor,
}

/// The part of this number of every source that has one.
pub(super) fn parts_of_sources(
    ancestor: &StateDict,
    parts: &[Vec<Parameter>],
    part: usize,
    sources: &[HeadSource],
) -> Vec<PartOfSource> {
    let of_source = |(source, of): (usize, &HeadSource)| {
        let parameter = parts[of.layer()].get(part)?;
        let tensor = ancestor.get(&parameter.name).expect("an ancestor has all its parameters");
        let tensor = average_heads(parameter, tensor, &[of.heads().to_vec()]);
        Some(PartOfSource { source, is_matrix: parameter.is_layer_matrix(), tensor })
    };
    sources.iter().enumerate().filter_map(of_source).collect()
}

/// Which sources have which bytes as their part, as the learngene stores it.
pub(super) fn places(store: Store, parts: &[PartOfSource]) -> HashMap<Vec<u8>, Vec<usize>> {
    let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for PartOfSource { source, is_matrix, tensor } in parts {
        let rounded = store.round(tensor.clone(), *is_matrix);
        places.entry(bytes(&rounded.values).into_owned()).or_default().push(*source);
    }
    places
}

/// A rounded part is as far as this from its source at most, in parts of the source's square. Heads
/// that have nothing in common are about twice the square apart, and 4 bits move one by some hundredths.
const NEAR: f64 = 0.25;

/// The source whose part is nearest, where one is near.
pub(super) fn nearest(values: &[f32], parts: &[PartOfSource]) -> Option<usize> {
    let distance = |part: &PartOfSource| {
        if part.tensor.values.len() != values.len() {
            return f64::INFINITY; // A head of another stage.
        }
        let (mut apart, mut square) = (0.0, 0.0);
        for (value, of_source) in values.iter().zip(&part.tensor.values) {
            apart += f64::from(value - of_source).powi(2);
            square += f64::from(*of_source).powi(2);
        }
        apart / square
    };
    let distances = parts.iter().map(|part| (distance(part), part.source));
    let (distance, source) = distances.min_by(|one, other| one.0.total_cmp(&other.0))?;
    (distance <= NEAR).then_some(source)
}
