//! One image of attention, head by head: where its matrices lie, and what is computed of them.

use burn::backend::flex::FlexTensor;
use multiversion::multiversion;

use super::super::gemm::{View, write_at};
use super::super::softmax;

/// Sizes of one image's fused projection, `[seq, 3, num_heads, head_dim]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    pub(super) seq: usize,
    num_heads: usize,
    head_dim: usize,
}

impl Heads {
    pub(super) fn of(qkv: &FlexTensor, num_heads: usize) -> Self {
        let shape = qkv.layout().shape(); // [batch, seq, 3 * num_heads * head_dim]
        Self { seq: shape[1], num_heads, head_dim: shape[2] / 3 / num_heads }
    }

    /// Width of the tokens: all heads side by side.
    pub(super) fn width(self) -> usize {
        self.num_heads * self.head_dim
    }

    /// Elements of an image's weights, `[num_heads, seq, seq]`.
    pub(super) fn weights(self) -> usize {
        self.num_heads * self.seq * self.seq
    }

    /// Width of what a product over one head gives or takes, whichever is less.
    pub(super) fn least_columns(self) -> usize {
        self.seq.min(self.head_dim)
    }

    fn scale(self) -> f32 {
        (1.0 / (self.head_dim as f64).sqrt()) as f32
    }

    /// Where a head begins in a row of tokens.
    fn start(self, head: usize) -> usize {
        head * self.head_dim
    }

    /// One head's part of rows of `stride` elements, from `start` on.
    fn part(self, rows: &[f32], start: usize, stride: usize) -> View<'_> {
        View::inside(&rows[start..], rows.len() / stride, self.head_dim, stride)
    }

    /// Query, key and value of one head, of these rows of a projection.
    fn query_key_value(self, rows: &[f32], head: usize) -> [View<'_>; 3] {
        let start = |role| role * self.width() + self.start(head);
        [0, 1, 2].map(|role| self.part(rows, start(role), 3 * self.width()))
    }

    /// `softmax(Q K^T / sqrt(head_dim) + bias)`, `[queries, seq]` as the bias is, over `weights`.
    fn weigh(self, weights: &mut [f32], query: View, key: View, bias: Option<&[f32]>) {
        write_at(weights, 0, self.seq, query, key.transposed());
        match bias {
            None => softmax::apply(weights, self.seq, self.scale()),
            Some(bias) => {
                scale_and_add(weights, self.scale(), bias);
                softmax::apply(weights, self.seq, 1.0);
            }
        }
    }

    /// One head's part of the tokens `[queries, num_heads * head_dim]`, and its weights
    /// `[queries, seq]`, for some rows of an image's projection and of the head's bias.
    pub(super) fn attend(
        self,
        tokens: &mut [f32],
        weights: &mut [f32],
        queries: &[f32],
        qkv: &[f32],
        bias: Option<&[f32]>,
        head: usize,
    ) {
        let [query, ..] = self.query_key_value(queries, head);
        let [_, key, value] = self.query_key_value(qkv, head);
        self.weigh(weights, query, key, bias);
        write_at(tokens, self.start(head), self.width(), View::new(weights, self.seq), value);
    }

    /// The gradient of an image's projection, over `qkv_gradient`, from that of its tokens. With a
    /// bias `[num_heads, seq, seq]`, its gradient is added to what lies beside it.
    ///
    /// With the weights `A`, the scores `S` before softmax and the tokens `O = A V`:
    /// `dV = A^T dO`, `dA = dO V^T`, `dS` as in [`mod@softmax`], `dQ = dS K`, `dK = dS^T Q`.
    pub(super) fn backward(
        self,
        qkv_gradient: &mut [f32],
        qkv: &[f32],
        gradient: &[f32],
        mut bias: Option<(&[f32], &mut [f32])>,
    ) {
        let matrix = self.seq * self.seq;
        let [mut weights, mut scores] = [(); 2].map(|()| vec![0.0; matrix]);
        for head in 0..self.num_heads {
            let [query, key, value] = self.query_key_value(qkv, head);
            let gradient = self.part(gradient, self.start(head), self.width());
            let bias = bias.as_mut().map(|(bias, gradient)| {
                (&bias[head * matrix..][..matrix], &mut gradient[head * matrix..][..matrix])
            });
            self.weigh(&mut weights, query, key, bias.as_ref().map(|(bias, _)| *bias));
            write_at(&mut scores, 0, self.seq, gradient, value.transposed()); // dA
            match bias {
                None => softmax::apply_backward(&mut scores, &weights, self.seq, self.scale()),
                Some((_, sum)) => {
                    softmax::apply_backward(&mut scores, &weights, self.seq, 1.0);
                    add_and_scale(&mut scores, self.scale(), sum);
                }
            } // dS

            let (weights, scores) = (View::new(&weights, self.seq), View::new(&scores, self.seq));
            let gradients = [
                (scores, key),                    // dQ
                (scores.transposed(), query),     // dK
                (weights.transposed(), gradient), // dV
            ];
            for (role, (left, right)) in gradients.into_iter().enumerate() {
                let start = role * self.width() + self.start(head);
                write_at(qkv_gradient, start, 3 * self.width(), left, right);
            }
        }
    }
}

/// `x_i = scale x_i + bias_i`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn scale_and_add(x: &mut [f32], scale: f32, bias: &[f32]) {
    for (x, bias) in x.iter_mut().zip(bias) {
        *x = x.mul_add(scale, *bias);
    }
}

/// Back through [`scale_and_add`]: `dbias_i += dy_i` and, written over `dy`, `dx_i = scale dy_i`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn add_and_scale(gradient: &mut [f32], scale: f32, bias_gradient: &mut [f32]) {
    for (gradient, sum) in gradient.iter_mut().zip(bias_gradient) {
        *sum += *gradient;
        *gradient *= scale;
    }
}
