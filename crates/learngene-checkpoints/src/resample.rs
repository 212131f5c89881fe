//! Position embeddings on a grid of another size.

use crate::HostTensor;

/// Reach of the cubic kernel on each side, in samples of the coarser grid.
const RADIUS: f64 = 2.0;

/// Interpolates the positions of patches to a grid of another size; that of the class token is
/// kept. The same as timm's `resample_abs_pos_embed` with its defaults, that is PyTorch's bicubic
/// interpolation with `antialias=True` and `align_corners=False`.
///
/// Along each axis, columns first, the value at output sample `i` is the weighted mean of the
/// input samples `j` with the weights `k((j + 1/2 - c) / s)`, where `c = (i + 1/2) r` is where the
/// output sample lies among the inputs, `r = old / new`, and `s = max(r, 1)` widens the kernel on
/// the way to a coarser grid. `k` is Keys's cubic convolution kernel with `a = -1/2`
/// (<https://doi.org/10.1109/TASSP.1981.1163711>, equation 15).
///
/// # Shapes
/// - positions: `[1, 1 + old_grid^2, embed_dim]`
/// - output: `[1, 1 + new_grid^2, embed_dim]`
///
/// # Panics
/// Panics when `positions` is of another shape, or a grid is of size 0.
pub fn resample_pos_embed(positions: &HostTensor, old_grid: usize, new_grid: usize) -> HostTensor {
    let embed_dim = positions.shape[2];
    assert_eq!(positions.shape, [1, 1 + old_grid * old_grid, embed_dim], "shape of the positions");
    assert!(old_grid > 0 && new_grid > 0, "a grid has at least one patch");
    let (class, patches) = positions.values.split_at(embed_dim);
    let taps = taps(old_grid, new_grid);

    // [old rows, old columns, embed_dim] to [old rows, new columns, embed_dim]
    let rows = patches.chunks_exact(old_grid * embed_dim);
    let narrowed: Vec<f32> = rows.flat_map(|row| resample_axis(row, &taps, embed_dim)).collect();
    // to [new rows, new columns, embed_dim]
    let resampled = resample_axis(&narrowed, &taps, new_grid * embed_dim);

    let values = [class, &resampled].concat();
    HostTensor::new([1, 1 + new_grid * new_grid, embed_dim], values)
}

/// For each output sample the first input sample it reads, and the weights from there on.
fn taps(old: usize, new: usize) -> Vec<(usize, Vec<f64>)> {
    let ratio = old as f64 / new as f64;
    let stretch = ratio.max(1.0);
    (0..new)
        .map(|i| {
            let centre = (i as f64 + 0.5) * ratio;
            let nearest = |edge: f64| (edge + 0.5).floor().clamp(0.0, old as f64) as usize;
            let first = nearest(centre - RADIUS * stretch);
            let last = nearest(centre + RADIUS * stretch);
            let weights: Vec<f64> =
                (first..last).map(|j| kernel((j as f64 + 0.5 - centre) / stretch)).collect();
            let total: f64 = weights.iter().sum();
            (first, weights.into_iter().map(|weight| weight / total).collect())
        })
        .collect()
}

/// `[old, width]` to `[new, width]`.
fn resample_axis(samples: &[f32], taps: &[(usize, Vec<f64>)], width: usize) -> Vec<f32> {
    let mut output = Vec::with_capacity(taps.len() * width);
    for (first, weights) in taps {
        for column in 0..width {
            let terms = weights.iter().enumerate();
            let sum: f64 = terms
                .map(|(j, weight)| weight * f64::from(samples[(first + j) * width + column]))
                .sum();
            output.push(sum as f32);
        }
    }
    output
}

/// Keys's cubic convolution kernel, `a = -1/2`.
fn kernel(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < RADIUS {
        ((x - 5.0) * x + 8.0) * x * A - 4.0 * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_stay_and_the_class_position_is_kept() {
        let mut values = vec![3.0; 2 * (1 + 9)];
        values[..2].copy_from_slice(&[-1.0, 7.0]);
        let positions = HostTensor::new([1, 10, 2], values);
        for grid in [1, 2, 3, 7] {
            let resampled = resample_pos_embed(&positions, 3, grid);
            assert_eq!(resampled.shape, [1, 1 + grid * grid, 2]);
            assert_eq!(resampled.values[..2], [-1.0, 7.0]);
            assert!(resampled.values[2..].iter().all(|value| (value - 3.0).abs() < 1e-6));
        }
    }

    #[test]
    fn the_same_grid_changes_nothing() {
        let values: Vec<f32> = (0..17).map(|i| (i * i % 7) as f32).collect();
        let positions = HostTensor::new([1, 17, 1], values);
        assert_eq!(resample_pos_embed(&positions, 4, 4), positions);
    }
}
