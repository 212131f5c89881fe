//! How far the queries of a layer look.

use burn::tensor::{Device, Tensor, TensorData};
use learngene_format::Convention;
use learngene_shape::{Field, Shape};

/// Attention rows whose remaining mass is below this say nothing about distance.
const LEAST_MASS: f64 = 1e-6;

/// Where the tokens lie that attend to each other in one layer.
pub(super) struct AttentionField {
    /// Distances between tokens in pixels of the input: `[tokens, tokens]`.
    pixels: Tensor<2>,
    /// Windows of an image.
    windows: usize,
    /// 1 for the pairs of a window that may attend to each other, 0 for masked ones:
    /// `[windows, tokens, tokens]`; none where all may.
    pairs: Option<Tensor<3>>,
    /// Tokens without a place, before the others.
    prefix: usize,
}

impl AttentionField {
    /// Of each layer of a model.
    pub fn of_layers(shape: &Shape, device: &Device) -> Vec<Self> {
        let mut fields: Vec<Self> = Vec::with_capacity(shape.depth());
        for layer in 0..shape.depth() {
            let field = shape.layer(layer).field;
            // Layers whose windows are alike share their distances, which can be large.
            let alike = (0..layer).find(|other| {
                let other = shape.layer(*other).field;
                (other.window, other.token_pixels) == (field.window, field.token_pixels)
            });
            let pixels = alike.map(|other| fields[other].pixels.clone());
            fields.push(Self::new(field, pixels, device));
        }
        fields
    }

    fn new(field: Field, pixels: Option<Tensor<2>>, device: &Device) -> Self {
        let (windows, tokens) = (field.num_windows(), field.window.pow(2));
        let distances = || {
            let distances = TensorData::new(field.distances(), [tokens, tokens]);
            Tensor::from_data(distances, device)
        };
        let pairs = field.pairs().map(|pairs| {
            let pairs: Vec<f32> = pairs.into_iter().map(|pair| f32::from(u8::from(pair))).collect();
            Tensor::from_data(TensorData::new(pairs, [windows, tokens, tokens]), device)
        });
        Self { pixels: pixels.unwrap_or_else(distances), windows, pairs, prefix: field.prefix }
    }

    /// `d = mean over windows and queries i of sum over keys j of A[i, j] * D[i, j]`, patches only.
    ///
    /// # Shapes
    /// - weights: `[batch * windows, num_heads, seq, seq]`, where `seq = prefix + tokens`
    /// - output: distances in pixels `[batch * num_heads]`, rows left out `[1]`
    pub fn mean_attention_distance(
        &self,
        weights: Tensor<4>,
        convention: Convention,
    ) -> (Tensor<1>, Tensor<1>) {
        let weights = self.between_places(weights); // [batch, windows, num_heads, tokens, tokens]
        let [batch, _, num_heads, _, _] = weights.dims();
        let mass = weights.clone().sum_dim(4); // [batch, windows, num_heads, tokens, 1]
        let counted = mass.clone().greater_equal_elem(LEAST_MASS);

        let per_query = (weights * self.pixels.clone().unsqueeze()).sum_dim(4);
        let per_query = match convention {
            Convention::Renormalized => per_query / mass.clamp_min(LEAST_MASS),
            Convention::Published => per_query,
        };
        let sum = |rows: Tensor<5>| rows.sum_dim(3).sum_dim(1).reshape([batch * num_heads]);
        let distance = sum(per_query * counted.clone().float()) / sum(counted.clone().float());
        (distance, counted.bool_not().float().sum())
    }

    /// Attention from patches to patches, masked pairs at 0:
    /// `[batch, windows, num_heads, tokens, tokens]`.
    fn between_places(&self, weights: Tensor<4>) -> Tensor<5> {
        let [count, num_heads, seq, _] = weights.dims();
        let places = self.prefix..seq;
        let weights = weights.slice([0..count, 0..num_heads, places.clone(), places]);
        let tokens = seq - self.prefix;
        let weights =
            weights.reshape([count / self.windows, self.windows, num_heads, tokens, tokens]);
        match &self.pairs {
            Some(pairs) => weights * pairs.clone().reshape([1, self.windows, 1, tokens, tokens]),
            None => weights,
        }
    }
}

#[cfg(test)]
mod tests {
    use learngene_shape::{Family, Swin, Vit};

    use super::*;

    /// Places of 2 x 2 patches after a class token.
    fn vit(patch_size: usize) -> AttentionField {
        let vit = Vit { image_size: 2 * patch_size, patch_size, ..Vit::uniform(8, 1, 1) };
        let shape = vit.shape().expect("possible");
        AttentionField::of_layers(&shape, &Device::flex()).remove(0)
    }

    /// Two patches 8 px apart on a diagonal grid of 2 x 2, one head, weights by hand.
    fn by_hand(convention: Convention) -> f32 {
        let device = Device::flex();
        // The class token takes half of each patch's attention; the rest stays or goes to the right.
        let row = |query: usize| {
            let mut row = [0.5, 0.0, 0.0, 0.0, 0.0];
            row[1 + query] = 0.25;
            row[1 + (query ^ 1)] = 0.25;
            row
        };
        let weights: Vec<f32> = [[0.2; 5], row(0), row(1), row(2), row(3)].concat();
        let weights = Tensor::from_data(TensorData::new(weights, [1, 1, 5, 5]), &device);
        let (distance, skipped) = vit(8).mean_attention_distance(weights, convention);
        assert_eq!(skipped.into_scalar::<f32>(), 0.0);
        distance.into_scalar()
    }

    #[test]
    fn half_of_the_patches_attention_lies_eight_pixels_away() {
        assert_eq!(by_hand(Convention::Renormalized), 4.0);
    }

    #[test]
    fn the_published_convention_is_low_by_the_class_tokens_share() {
        assert_eq!(by_hand(Convention::Published), 2.0);
    }

    #[test]
    fn rows_without_mass_on_patches_are_left_out_and_counted() {
        let device = Device::flex();
        let weights: Vec<f32> = [
            [0.2; 5],
            [1.0, 0., 0., 0., 0.],
            [0., 0., 1., 0., 0.],
            [0., 0., 0., 0., 1.],
            [0., 0., 0., 0., 1.],
        ]
        .concat();
        let weights = Tensor::from_data(TensorData::new(weights, [1, 1, 5, 5]), &device);
        let (distance, skipped) = vit(6).mean_attention_distance(weights, Convention::Renormalized);
        // Three queries are left: one attends to itself, one 6 px away, one to itself.
        assert_eq!(skipped.into_scalar::<f32>(), 1.0);
        assert_eq!(distance.into_scalar::<f32>(), 2.0);
    }

    /// Three layers: windows of 2 in 4 x 4 tokens, shifted ones, all of 2 x 2 tokens.
    fn swin() -> Vec<AttentionField> {
        let swin = Swin { window_size: 2, image_size: 16, ..Swin::uniform(8, &[2, 1], &[1, 2]) };
        AttentionField::of_layers(&swin.shape().expect("possible"), &Device::flex())
    }

    fn distances(
        field: &AttentionField,
        weights: Vec<f32>,
        shape: [usize; 4],
        convention: Convention,
    ) -> (Vec<f32>, f32) {
        let weights = Tensor::from_data(TensorData::new(weights, shape), &Device::flex());
        let (distances, skipped) = field.mean_attention_distance(weights, convention);
        let distances = distances.into_data().try_into_vec().expect("flex computes in f32");
        (distances, skipped.into_scalar())
    }

    #[test]
    fn windows_of_a_later_stage_are_wider() {
        let fields = swin();
        assert_eq!(fields.len(), 3);
        let right =
            |layer: usize| fields[layer].pixels.clone().slice([0..1, 1..2]).into_scalar::<f32>();
        assert_eq!([0, 1, 2].map(right), [4.0, 4.0, 8.0]);
        assert_eq!(fields.iter().map(|field| field.windows).collect::<Vec<_>>(), [4, 4, 1]);
        assert!(fields[0].pairs.is_none() && fields[1].pairs.is_some());
    }

    #[test]
    fn a_swin_averages_over_windows_of_an_image() {
        let fields = swin();
        // Two images of four windows: in the first every query of one window attends to its right
        // or left neighbour, in the second those of all windows do; all others to themselves.
        let to = |step: usize| {
            (0..16)
                .map(move |i| if i % 4 == (i / 4) ^ step { 1.0 } else { 0.0 })
                .collect::<Vec<_>>()
        };
        let steps = [1, 0, 0, 0, 1, 1, 1, 1];
        let weights = steps.into_iter().flat_map(to).collect();
        let (distances, skipped) =
            distances(&fields[0], weights, [8, 1, 4, 4], Convention::Renormalized);
        assert_eq!((distances, skipped), (vec![1.0, 4.0], 0.0));
    }

    #[test]
    fn masked_pairs_carry_no_weight() {
        let fields = swin();
        // Half of the weight of each query goes to its neighbour below or above, half to the one
        // across. Of the four shifted windows the first is whole; the second is cut between left
        // and right, so that the diagonal is masked; the third between above and below, the last
        // both ways, so that nothing is left of the rows of either.
        let row = |query: usize| {
            (0..4).map(move |key| if key == query ^ 2 || key == query ^ 3 { 0.5 } else { 0.0 })
        };
        let weights: Vec<f32> = (0..16).flat_map(|query| row(query % 4)).collect();
        let diagonal = 4.0 * 2.0_f32.sqrt();
        let run = |convention| distances(&fields[1], weights.clone(), [4, 1, 4, 4], convention);
        let (renormalized, skipped) = run(Convention::Renormalized);
        assert_eq!(skipped, 8.0);
        assert!((renormalized[0] - ((4.0 + diagonal) / 2.0 + 4.0) / 2.0).abs() < 1e-6);
        let (published, _) = run(Convention::Published);
        assert!((published[0] - ((4.0 + diagonal) / 2.0 + 2.0) / 2.0).abs() < 1e-6);
    }
}
