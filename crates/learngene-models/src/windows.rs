//! Cutting tokens into windows, and what a window knows of its places.

use burn::tensor::{Device, Int, Tensor, TensorData};
use learngene_shape::Field;

/// Added to the scores of tokens that a shift brought into one window from opposite edges, as in
/// the published code: their weights come to nothing.
const MASKED: f32 = -100.0;

/// Cuts the tokens of images into windows, an image's windows in raster order. Where all tokens are
/// one window they stay as they are.
///
/// # Shapes
/// - tokens: `[batch, seq, embed_dim]`
/// - output: `[batch * windows, window^2, embed_dim]`
pub(crate) fn cut(field: Field, tokens: Tensor<3>) -> Tensor<3> {
    let Field { resolution, window, shift, .. } = field;
    if field.num_windows() == 1 {
        return tokens;
    }
    let [batch, _, embed_dim] = tokens.dims();
    let side = resolution / window;
    let grid = tokens.reshape([batch, resolution, resolution, embed_dim]);
    let back = -(shift as isize);
    let grid = if shift > 0 { grid.roll(&[back, back], &[1, 2]) } else { grid };
    grid.reshape([batch, side, window, side, window, embed_dim])
        .permute([0, 1, 3, 2, 4, 5]) // [batch, side, side, window, window, embed_dim]
        .reshape([batch * side * side, window * window, embed_dim])
}

/// Puts windows together again, the inverse of [`cut`].
pub(crate) fn join(field: Field, windows: Tensor<3>) -> Tensor<3> {
    let Field { resolution, window, shift, .. } = field;
    if field.num_windows() == 1 {
        return windows;
    }
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

/// For each pair of tokens of a window, its row in the table of relative positions: `[window^4]`,
/// queries first.
pub(crate) fn relative_positions(field: Field, device: &Device) -> Tensor<1, Int> {
    let window = field.window;
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
pub(crate) fn mask(field: Field, device: &Device) -> Option<Tensor<3>> {
    let tokens = field.window.pow(2);
    let score = |together| if together { 0.0 } else { MASKED };
    let mask: Vec<f32> = field.pairs()?.into_iter().map(score).collect();
    let shape = [field.num_windows(), tokens, tokens];
    Some(Tensor::from_data(TensorData::new(mask, shape), device))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIFTED: Field =
        Field { prefix: 0, resolution: 4, window: 2, shift: 1, token_pixels: 16 };

    fn values(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_into_vec().expect("flex computes in f32")
    }

    #[test]
    fn windows_are_cut_in_raster_order_and_joined_again() {
        let device = Device::flex();
        let tokens = Tensor::<1, Int>::arange(0..16, &device).float().reshape([1, 16, 1]);
        let plain = Field { shift: 0, ..SHIFTED };
        let cut_plain = values(cut(plain, tokens.clone()));
        let want = [0., 1., 4., 5., 2., 3., 6., 7., 8., 9., 12., 13., 10., 11., 14., 15.];
        assert_eq!(cut_plain, want);
        let cut = cut(SHIFTED, tokens.clone());
        assert_eq!(values(cut.clone())[..8], [5., 6., 9., 10., 7., 4., 11., 8.]);
        assert_eq!(values(join(SHIFTED, cut)), values(tokens));
    }

    #[test]
    fn relative_positions_count_from_the_lower_right() {
        let rows = relative_positions(SHIFTED, &Device::flex()).into_data();
        let rows: Vec<i64> = rows.convert::<i64>().try_into_vec().expect("converted just before");
        assert_eq!(rows, [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4]);
    }

    #[test]
    fn tokens_from_opposite_edges_are_masked() {
        let mask = mask(SHIFTED, &Device::flex()).expect("shifted windows have a mask");
        assert_eq!(mask.dims(), [4, 4, 4]);
        let alone = |query| (0..4).map(move |key| if key == query { 0. } else { MASKED });
        let last: Vec<f32> = (0..4).flat_map(alone).collect();
        assert_eq!(values(mask)[48..], last);
    }
}
