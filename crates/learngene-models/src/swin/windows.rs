//! Cutting tokens into windows, and what a window knows of its places.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Added to the scores of tokens that a shift brought into one window from opposite edges, as in
/// the published code: their weights come to nothing.
const MASKED: f32 = -100.0;

/// Windows of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    /// Tokens along one side of the image.
    pub resolution: usize,
    /// Side of a window, in tokens.
    pub window: usize,
    /// By how many tokens the windows are shifted to the right and down.
    pub shift: usize,
}

impl Windows {
    /// Windows of an image.
    pub fn count(self) -> usize {
        (self.resolution / self.window).pow(2)
    }

    /// Cuts the tokens of images into windows, an image's windows in raster order.
    ///
    /// # Shapes
    /// - tokens: `[batch, resolution^2, embed_dim]`
    /// - output: `[batch * windows, window^2, embed_dim]`
    pub fn cut(self, tokens: Tensor<3>) -> Tensor<3> {
        let Self { resolution, window, shift } = self;
        let [batch, _, embed_dim] = tokens.dims();
        let side = resolution / window;
        let grid = tokens.reshape([batch, resolution, resolution, embed_dim]);
        let back = -(shift as isize);
        let grid = if shift > 0 { grid.roll(&[back, back], &[1, 2]) } else { grid };
        grid.reshape([batch, side, window, side, window, embed_dim])
            .permute([0, 1, 3, 2, 4, 5]) // [batch, side, side, window, window, embed_dim]
            .reshape([batch * side * side, window * window, embed_dim])
    }

    /// Puts windows together again, the inverse of [`Windows::cut`].
    pub fn join(self, windows: Tensor<3>) -> Tensor<3> {
        let Self { resolution, window, shift } = self;
        let [count, _, embed_dim] = windows.dims();
        let side = resolution / window;
        let batch = count / (side * side);
        let grid = windows
            .reshape([batch, side, side, window, window, embed_dim])
            .permute([0, 1, 3, 2, 4, 5]) // [batch, side, window, side, window, embed_dim]
            .reshape([batch, resolution, resolution, embed_dim]);
        let ahead = shift as isize;
        let grid = if shift > 0 { grid.roll(&[ahead, ahead], &[1, 2]) } else { grid };
        grid.reshape([batch, resolution * resolution, embed_dim])
    }

    /// For each pair of tokens of a window the row of the table of relative positions that tells
    /// of it: `[window^4]`, queries first.
    pub fn relative_positions(self, device: &Device) -> Tensor<1, Int> {
        let window = self.window;
        let tokens = window * window;
        let row = |query: usize, key: usize| {
            let down = query / window + window - 1 - key / window;
            let right = query % window + window - 1 - key % window;
            (down * (2 * window - 1) + right) as i64
        };
        let pairs: Vec<i64> =
            (0..tokens).flat_map(|query| (0..tokens).map(move |key| row(query, key))).collect();
        Tensor::from_data(TensorData::new(pairs, [tokens * tokens]), device)
    }

    /// What is added to the scores of each window: `[windows, window^2, window^2]`; none where the
    /// windows are not shifted.
    pub fn mask(self, device: &Device) -> Option<Tensor<3>> {
        let Self { resolution, window, shift } = self;
        if shift == 0 {
            return None;
        }
        // Places before the last window, in its first part, and in the part from the other edge.
        let zone = |place: usize| {
            usize::from(place >= resolution - window) + usize::from(place >= resolution - shift)
        };
        let (side, tokens) = (resolution / window, window * window);
        let zones = |index: usize, token: usize| {
            let row = index / side * window + token / window;
            let column = index % side * window + token % window;
            (zone(row), zone(column))
        };
        let mut mask = Vec::with_capacity(self.count() * tokens * tokens);
        for index in 0..self.count() {
            for query in 0..tokens {
                let of_query = zones(index, query);
                mask.extend(
                    (0..tokens).map(|key| if zones(index, key) == of_query { 0.0 } else { MASKED }),
                );
            }
        }
        Some(Tensor::from_data(TensorData::new(mask, [self.count(), tokens, tokens]), device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIFTED: Windows = Windows { resolution: 4, window: 2, shift: 1 };

    fn values(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_into_vec().expect("flex computes in f32")
    }

    #[test]
    fn windows_are_cut_in_raster_order_and_joined_again() {
        let device = Device::flex();
        let tokens = Tensor::<1, Int>::arange(0..16, &device).float().reshape([1, 16, 1]);
        let plain = Windows { shift: 0, ..SHIFTED };
        let cut = values(plain.cut(tokens.clone()));
        assert_eq!(cut, [0., 1., 4., 5., 2., 3., 6., 7., 8., 9., 12., 13., 10., 11., 14., 15.]);
        let cut = SHIFTED.cut(tokens.clone());
        assert_eq!(values(cut.clone())[..8], [5., 6., 9., 10., 7., 4., 11., 8.]);
        assert_eq!(values(SHIFTED.join(cut)), values(tokens));
    }

    #[test]
    fn relative_positions_count_from_the_lower_right() {
        let rows = SHIFTED.relative_positions(&Device::flex()).into_data();
        let rows: Vec<i64> = rows.convert::<i64>().try_into_vec().expect("converted just before");
        assert_eq!(rows, [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4]);
    }

    #[test]
    fn tokens_from_opposite_edges_are_masked() {
        let mask = values(SHIFTED.mask(&Device::flex()).expect("shifted windows have a mask"));
        assert!(mask[..16].iter().all(|value| *value == 0.0), "the first window is whole");
        // The second window holds the last column and, from the other edge, the first.
        let second = [0., MASKED, 0., MASKED, MASKED, 0., MASKED, 0.].repeat(2);
        assert_eq!(mask[16..32], second);
        let alone = |query| (0..4).map(move |key| if key == query { 0. } else { MASKED });
        let last: Vec<f32> = (0..4).flat_map(alone).collect();
        assert_eq!(mask[48..], last);
        assert!(Windows { shift: 0, ..SHIFTED }.mask(&Device::flex()).is_none());
    }
}
