//! Heads cut out of a layer's parameters, and pasted together again.

use std::ops::Range;

use learngene_tensors::Tensor;

use crate::{Axis, Head, HeadLayout, Parameter, Projection};

/// The parameter with other heads in place of its own: head `s` of the result is head `heads[s]`.
/// What no head owns stays.
///
/// # Panics
/// Panics when the tensor is not of the parameter's shape, or there is no such head.
pub fn select_heads(parameter: &Parameter, tensor: &Tensor, heads: &[usize]) -> Tensor {
    let groups: Vec<Vec<usize>> = heads.iter().map(|head| vec![*head]).collect();
    average_heads(parameter, tensor, &groups)
}

/// The parameter with averages in place of its heads: head `s` of the result is the mean, in f64, of
/// the heads `groups[s]`; of one alone that head, to the bit.
///
/// # Panics
/// Panics when the tensor is not of the parameter's shape, a group is empty, or there is no such
/// head.
pub fn average_heads(parameter: &Parameter, tensor: &Tensor, groups: &[Vec<usize>]) -> Tensor {
    assert_eq!(tensor.shape, parameter.shape(), "shape of {}", parameter.name);
    let Some(axis) = parameter.head_axis() else { return tensor.clone() };
    let (roles, layout) = match parameter.axes[axis] {
        Axis::Heads { roles, layout } => (roles, layout),
        Axis::PerHead { num_heads } => (1, HeadLayout { num_heads, head_dim: 1 }),
        _ => unreachable!("`head_axis` finds an axis of heads"),
    };
    // [outer, axis, inner]
    let inner: usize = tensor.shape[axis + 1..].iter().product();
    let mut shape = tensor.shape.clone();
    shape[axis] = roles * groups.len() * layout.head_dim;
    let mut values = Vec::with_capacity(shape.iter().product());
    for outer in tensor.values.chunks_exact(tensor.shape[axis] * inner) {
        for role in 0..roles {
            let rows = |head: usize| {
                let num_heads = layout.num_heads;
                assert!(head < num_heads, "head {head} of {num_heads} in {}", parameter.name);
                let Range { start, end } = match roles {
                    1 => layout.columns(Head(head)),
                    _ => layout.rows(Projection::ALL[role], Head(head)),
                };
                &outer[start * inner..end * inner]
            };
            for group in groups {
                match group[..] {
                    [head] => values.extend_from_slice(rows(head)),
                    _ => values.extend(mean(group.iter().map(|head| rows(*head)).collect())),
                }
            }
        }
    }
    Tensor::new(shape, values)
}

/// The parameter with some hidden units in place of all: unit `u` of the result is unit `units[u]`, in
/// each part of an axis that has several. What no unit owns stays.
///
/// # Panics
/// Panics when the tensor is not of the parameter's shape, or there is no such unit.
pub fn select_units(parameter: &Parameter, tensor: &Tensor, units: &[usize]) -> Tensor {
    assert_eq!(tensor.shape, parameter.shape(), "shape of {}", parameter.name);
    let is_of_units = |axis: &Axis| matches!(axis, Axis::Hidden { .. });
    let Some(axis) = parameter.axes.iter().position(is_of_units) else { return tensor.clone() };
    let parts = parameter.axes[axis].parts();
    let width = tensor.shape[axis] / parts;
    let inner: usize = tensor.shape[axis + 1..].iter().product();
    let mut values = Vec::with_capacity(tensor.values.len() / width * units.len());
    for part in tensor.values.chunks_exact(width * inner) {
        for unit in units {
            values.extend_from_slice(&part[unit * inner..(unit + 1) * inner]);
        }
    }
    let mut shape = tensor.shape.clone();
    shape[axis] = parts * units.len();
    Tensor::new(shape, values)
}

/// Mean of rows of one length, summed in f64 in their order.
fn mean(rows: Vec<&[f32]>) -> impl Iterator<Item = f32> {
    let count = rows.len() as f64;
    (0..rows[0].len()).map(move |i| {
        let sum = rows.iter().map(|row| f64::from(row[i])).reduce(|sum, value| sum + value);
        (sum.expect("a group has a head") / count) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, Swin, Vit};

    /// Parameter by the end of its name, with values 0, 1, 2, ...
    fn counted(parameters: Vec<Parameter>, name: &str) -> (Parameter, Tensor) {
        let parameter = parameters.into_iter().find(|p| p.name.ends_with(name)).expect(name);
        let values = (0..parameter.count()).map(|value| value as f32).collect();
        let tensor = Tensor::new(parameter.shape(), values);
        (parameter, tensor)
    }

    /// Two heads of width 2, tokens of width 1.
    fn vit() -> Vec<Parameter> {
        Vit::new(1, vec![2], 2, vec![1]).parameters()
    }

    #[test]
    fn rows_of_query_key_and_value_follow_their_head() {
        let (bias, values) = counted(vit(), "attn.qkv.bias");
        let selected = select_heads(&bias, &values, &[1, 0, 1]);
        let want = [2., 3., 0., 1., 2., 3., 6., 7., 4., 5., 6., 7., 10., 11., 8., 9., 10., 11.];
        assert_eq!(selected.values, want);
        let (weight, values) = counted(vit(), "attn.qkv.weight");
        let alone = select_heads(&weight, &values, &[1]);
        assert_eq!((alone.shape, alone.values), (vec![6, 1], vec![2., 3., 6., 7., 10., 11.]));
    }

    #[test]
    fn columns_of_the_projection_follow_their_head() {
        let parameters = Vit::new(2, vec![2], 2, vec![1]).parameters();
        let (weight, values) = counted(parameters, "attn.proj.weight");
        let selected = select_heads(&weight, &values, &[1, 1]);
        assert_eq!(selected.values, [2., 3., 2., 3., 6., 7., 6., 7.]);
    }

    #[test]
    fn tables_of_relative_positions_follow_their_head() {
        let swin = Swin { window_size: 1, ..Swin::uniform(2, &[1], &[2]) };
        let (table, values) = counted(swin.parameters(), "relative_position_bias_table");
        assert_eq!(select_heads(&table, &values, &[1, 0, 0]).values, [1., 0., 0.]);
    }

    #[test]
    fn hidden_units_are_selected_in_every_part() {
        let vit = Vit { ffn: crate::FfnKind::SwiGlu, ..Vit::new(2, vec![1], 2, vec![3]) };
        let (first, values) = counted(vit.parameters(), "fc1.weight");
        // Rows are gate 0, 1, 2, then value 0, 1, 2.
        let selected = select_units(&first, &values, &[2, 0]);
        assert_eq!(
            (selected.shape, selected.values),
            (vec![4, 2], vec![4., 5., 0., 1., 10., 11., 6., 7.])
        );
        let (second, values) = counted(vit.parameters(), "fc2.weight");
        assert_eq!(select_units(&second, &values, &[2, 0]).values, [2., 0., 5., 3.]);
        let (norm, values) = counted(vit.parameters(), "norm2.weight");
        assert_eq!(select_units(&norm, &values, &[1]), values);
    }

    #[test]
    fn averages_are_taken_head_by_head_and_others_stay() {
        let (bias, values) = counted(vit(), "attn.qkv.bias");
        let mean = average_heads(&bias, &values, &[vec![0, 1]]);
        assert_eq!(mean.values, [1., 2., 5., 6., 9., 10.]);
        let (norm, values) = counted(vit(), "norm1.weight");
        assert_eq!(select_heads(&norm, &values, &[1]), values);
    }
}
