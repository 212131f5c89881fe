/// Euclidean distances between the centres of the patches of a grid, in pixels of the input.
///
/// Patches are counted row by row, as the tokens of a ViT. `patch_size` is the side of a patch in
/// pixels; for a Swin stage multiply it by the merge factor and give the window as the grid.
///
/// # Shapes
/// - output: `[patches, patches]`, row-major, where `patches = rows * columns`
pub(super) fn patch_distances(grid: (usize, usize), patch_size: usize) -> Vec<f32> {
    let (rows, columns) = grid;
    let patches = rows * columns;
    let centre = |patch: usize| ((patch / columns) as f64, (patch % columns) as f64);
    let distance = |query: usize, key: usize| {
        let ((y0, x0), (y1, x1)) = (centre(query), centre(key));
        (patch_size as f64 * (y1 - y0).hypot(x1 - x0)) as f32
    };
    (0..patches).flat_map(|query| (0..patches).map(move |key| distance(query, key))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_of_two_rows_and_three_columns() {
        let distances = patch_distances((2, 3), 16);
        assert_eq!(distances.len(), 36);
        let (side, diagonal) = (16.0, 16.0 * 2.0_f32.sqrt());
        let long = 16.0 * 5.0_f32.sqrt();
        assert_eq!(distances[..6], [0.0, side, 2.0 * side, side, diagonal, long]);
    }

    #[test]
    fn distance_is_symmetric_and_zero_to_itself() {
        let distances = patch_distances((4, 7), 14);
        for query in 0..28 {
            assert_eq!(distances[query * 28 + query], 0.0);
            for key in 0..28 {
                assert_eq!(distances[query * 28 + key], distances[key * 28 + query]);
            }
        }
    }

    #[test]
    fn opposite_corners_of_deit() {
        let distances = patch_distances((14, 14), 16);
        assert!((distances[195] - 13.0 * 16.0 * 2.0_f32.sqrt()).abs() < 1e-4);
    }

    #[test]
    fn an_empty_grid_has_no_distances() {
        assert!(patch_distances((0, 5), 16).is_empty());
        assert!(patch_distances((5, 0), 16).is_empty());
    }
}
