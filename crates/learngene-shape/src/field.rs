//! Which tokens attend to each other, and where they lie.

/// Tokens that attend to each other in one layer: a square window of patches, shifted or not, after
/// tokens without a place. A layer in which all patches attend to each other is one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Tokens without a place, before the patches: the class token.
    pub prefix: usize,
    /// Patches along one side of the image.
    pub resolution: usize,
    /// Patches along one side of a window.
    pub window: usize,
    /// By how many patches the windows are shifted to the right and down.
    pub shift: usize,
    /// Pixels of the input between neighbouring patches.
    pub token_pixels: usize,
}

impl Field {
    /// Windows of an image.
    pub fn num_windows(self) -> usize {
        (self.resolution / self.window).pow(2)
    }

    /// Tokens of an image.
    pub fn tokens(self) -> usize {
        self.prefix + self.resolution.pow(2)
    }

    /// Tokens that one token attends to.
    pub fn keys(self) -> usize {
        self.prefix + self.window.pow(2)
    }

    /// Side of the square that one query attends to, in pixels of the input.
    pub fn attended_side(self) -> usize {
        self.window * self.token_pixels
    }

    /// Distances between the centres of a window's patches in pixels of the input, patches counted
    /// row by row.
    ///
    /// # Shapes
    /// - output: `[window^2, window^2]`, row-major
    pub fn distances(self) -> Vec<f32> {
        let centre = |patch: usize| ((patch / self.window) as f64, (patch % self.window) as f64);
        let distance = |query: usize, key: usize| {
            let ((y0, x0), (y1, x1)) = (centre(query), centre(key));
            (self.token_pixels as f64 * (y1 - y0).hypot(x1 - x0)) as f32
        };
        let patches = self.window.pow(2);
        (0..patches).flat_map(|query| (0..patches).map(move |key| distance(query, key))).collect()
    }

    /// Whether the patches of each pair belong together in their window, rather than having been
    /// brought there from opposite edges of the image by the shift; none where windows are not
    /// shifted.
    ///
    /// # Shapes
    /// - output: `[windows, window^2, window^2]`, queries first, row-major
    pub fn pairs(self) -> Option<Vec<bool>> {
        let Self { resolution, window, shift, .. } = self;
        if shift == 0 {
            return None;
        }
        // Places before the last window, in its first part, and in the part from the other edge.
        let zone = |place: usize| {
            usize::from(place >= resolution - window) + usize::from(place >= resolution - shift)
        };
        let (side, patches) = (resolution / window, window * window);
        let zones = |index: usize, patch: usize| {
            let row = index / side * window + patch / window;
            let column = index % side * window + patch % window;
            (zone(row), zone(column))
        };
        let of_window = |index: usize| {
            (0..patches).flat_map(move |query| {
                let of_query = zones(index, query);
                (0..patches).map(move |key| zones(index, key) == of_query)
            })
        };
        Some((0..side * side).flat_map(of_window).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIFTED: Field =
        Field { prefix: 0, resolution: 4, window: 2, shift: 1, token_pixels: 16 };

    #[test]
    fn distances_lie_between_centres() {
        let grid = Field { resolution: 2, shift: 0, ..SHIFTED };
        let (side, diagonal) = (16.0, 16.0 * 2.0_f32.sqrt());
        assert_eq!(grid.distances()[..4], [0.0, side, side, diagonal]);
        let deit = Field { prefix: 1, resolution: 14, window: 14, shift: 0, token_pixels: 16 };
        let distances = deit.distances();
        assert!((distances[195] - 13.0 * 16.0 * 2.0_f32.sqrt()).abs() < 1e-4);
        for query in 0..196 {
            assert_eq!(distances[query * 196 + query], 0.0);
            assert_eq!(distances[query * 196 + 7], distances[7 * 196 + query]);
        }
        assert_eq!((deit.tokens(), deit.keys(), deit.attended_side()), (197, 197, 224));
    }

    #[test]
    fn patches_from_opposite_edges_do_not_belong_together() {
        let pairs = SHIFTED.pairs().expect("shifted windows");
        assert!(pairs[..16].iter().all(|together| *together), "the first window is whole");
        // The second holds the last column and, from the other edge, the first.
        let second = [true, false, true, false, false, true, false, true].repeat(2);
        assert_eq!(pairs[16..32], second);
        let alone: Vec<bool> = (0..16).map(|pair| pair / 4 == pair % 4).collect();
        assert_eq!(pairs[48..], alone);
        assert!(Field { shift: 0, ..SHIFTED }.pairs().is_none());
    }
}
