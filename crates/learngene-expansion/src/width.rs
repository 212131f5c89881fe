//! Parameters of another width: channels and hidden units chosen or repeated, positions resampled.
//!
//! Every module that reads a stream must find in each channel what every module that writes it put
//! there. So the choice of channels follows from the two widths alone: rows that write a stream are
//! taken by it, and columns that read it. A channel that is there several times is read with a
//! share of its weight each, so that repeating channels changes nothing: where each is there
//! equally often, a layer norm has the same mean and variance as before.
//!
//! Channels are chosen evenly, as by Xu et al., "Initializing Models with Larger Ones", 2024,
//! <https://arxiv.org/abs/2311.18823>.

use learngene_shape::{Axis, Parameter, resample_positions};
use learngene_tensors::Tensor;

/// Whether an axis holds channels of a stream, or hidden units.
pub(crate) fn is_width(axis: &Axis) -> bool {
    matches!(axis, Axis::Stream { .. } | Axis::Merged { .. } | Axis::Hidden { .. })
}

/// Whether an axis may be chosen from element by element: one of widths, or of heads.
pub(crate) fn is_chosen(axis: &Axis) -> bool {
    is_width(axis) || matches!(axis, Axis::Heads { .. } | Axis::PerHead { .. })
}

/// A parameter of one model made to one of another along the axes that may change, and along those
/// of positions.
pub(crate) fn resize(
    tensor: Tensor,
    from: &Parameter,
    to: &Parameter,
    may_change: fn(&Axis) -> bool,
) -> Tensor {
    let axes = from.axes.iter().zip(&to.axes).enumerate();
    axes.fold(tensor, |tensor, (axis, of)| match of {
        (&Axis::Grid { prefix, side: old }, &Axis::Grid { side: new, .. }) if old != new => {
            resample_positions(&tensor, prefix, old, new)
        }
        (from, to_axis) if may_change(to_axis) && from.len() != to_axis.len() => {
            resize_axis(tensor, axis, *to_axis, to.reads(axis))
        }
        _ => tensor,
    })
}

/// Scalars of a parameter that [`resize`] takes at least once.
pub(crate) fn scalars_used(
    from: &Parameter,
    to: &Parameter,
    may_change: fn(&Axis) -> bool,
) -> usize {
    let axes = from.axes.iter().zip(&to.axes);
    let used = |(from, to): (&Axis, &Axis)| match may_change(to) {
        true => from.len().min(to.len()),
        false => from.len(),
    };
    axes.map(used).product()
}

/// Evenly chosen elements where there are fewer, repeated in turn where there are more; the same in
/// each of the parts that lie side by side. Where elements are `read`, copies of one share its
/// weight.
fn resize_axis(tensor: Tensor, axis: usize, to: Axis, reads: bool) -> Tensor {
    let Tensor { mut shape, values } = tensor;
    let (from, count) = (shape[axis] / to.parts(), to.len() / to.parts());
    let inner: usize = shape[axis + 1..].iter().product();
    let source = |i: usize| if count <= from { i * from / count } else { i % from };
    let copies = |source: usize| count.saturating_sub(source).div_ceil(from);
    let chosen: Vec<(usize, usize)> = (0..count).map(|i| (source(i), copies(source(i)))).collect();
    let mut resized = Vec::with_capacity(values.len() / from * count);
    for part in values.chunks_exact(from * inner) {
        for &(source, copies) in &chosen {
            let element = &part[source * inner..(source + 1) * inner];
            match copies {
                2.. if reads => resized.extend(element.iter().map(|x| x / copies as f32)),
                _ => resized.extend_from_slice(element),
            }
        }
    }
    shape[axis] = to.len();
    Tensor::new(shape, resized)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &[usize], axis: usize, to: Axis, reads: bool, expected: &[f32]) {
        let count = shape.iter().product::<usize>();
        let tensor = Tensor::new(shape, (0..count).map(|value| value as f32).collect());
        let resized = resize_axis(tensor, axis, to, reads);
        assert_eq!(resized.values, expected);
        assert_eq!(resized.shape[axis], to.len());
    }

    fn stream(width: usize) -> Axis {
        Axis::Stream { stage: 0, width }
    }

    #[test]
    fn fewer_elements_are_chosen_evenly() {
        check(&[6], 0, stream(3), false, &[0., 2., 4.]);
        check(&[5], 0, stream(3), true, &[0., 1., 3.]);
        check(&[2, 4], 1, stream(2), true, &[0., 2., 4., 6.]);
        check(&[4, 2], 0, stream(2), false, &[0., 1., 4., 5.]);
    }

    #[test]
    fn more_elements_repeat_and_share_what_they_are_read_with() {
        check(&[3], 0, stream(5), false, &[0., 1., 2., 0., 1.]);
        check(&[1, 3], 1, stream(5), true, &[0., 0.5, 2., 0., 0.5]);
        check(&[1, 2], 1, stream(6), true, &[0., 1. / 3., 0., 1. / 3., 0., 1. / 3.]);
    }

    #[test]
    fn parts_of_an_axis_give_equally_many() {
        let gated = |width| Axis::Hidden { parts: 2, width };
        // Of each three two, where of six four alone would give others.
        check(&[6], 0, gated(2), false, &[0., 1., 3., 4.]);
        check(&[4], 0, gated(3), false, &[0., 1., 0., 2., 3., 2.]);
        let merged = Axis::Merged { stage: 0, width: 1 };
        check(&[1, 8], 1, merged, true, &[0., 2., 4., 6.]);
    }
}
