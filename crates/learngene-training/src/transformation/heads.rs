//! Transformations of the heads of a layer, which make copies of one centroid different.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use learngene_models::LayerLinears;
use learngene_shape::HeadLayout;

use super::{HeadTransformation, affine::Affine, drawing::Drawing, linear::ScaleShift};

/// What is learnt of the heads of one layer.
#[derive(Module, Debug)]
pub(super) struct Heads {
    /// For query, key and value.
    qkv: OfSlots,
    /// For the output projection.
    proj: OfSlots,
}

/// What is learnt of one fused linear layer.
#[derive(Module, Debug)]
enum OfSlots {
    ScaleShift(ScaleShift),
    LowRank(LowRankOfSlots),
}

/// `W + A B` in the part of each slot, and `b + t`.
#[derive(Module, Debug)]
struct LowRankOfSlots {
    /// A: `[num_heads, d_input, rank]`
    a: Param<Tensor<3>>,
    /// B: `[num_heads, rank, d_output]`
    b: Param<Tensor<3>>,
    /// t: as long as the bias of the linear layer.
    shift: Param<Tensor<1>>,
}

impl Heads {
    pub(super) fn new(
        name: &str,
        kind: HeadTransformation,
        layout: HeadLayout,
        linears: &LayerLinears<'_>,
        drawing: &Drawing<'_>,
    ) -> Self {
        let HeadLayout { num_heads, head_dim } = layout;
        let [qkv, proj] = [&*linears.qkv, &*linears.proj].map(Affine::of);
        let [embed_dim] = proj.bias.dims();
        let of_slots = |part: &str, base: &Affine, [d_input, d_output]: [usize; 2]| match kind {
            HeadTransformation::ScaleShift => OfSlots::ScaleShift(ScaleShift::new(base, drawing)),
            HeadTransformation::LowRank { rank } => {
                let names: Vec<String> =
                    (0..num_heads).map(|slot| format!("{name}.{part}.a.{slot}")).collect();
                OfSlots::LowRank(LowRankOfSlots {
                    a: drawing.normal(&names, d_input, [num_heads, d_input, rank]),
                    b: drawing.zeros([num_heads, rank, d_output]),
                    shift: drawing.zeros(base.bias.dims()),
                })
            }
        };
        Self {
            qkv: of_slots("qkv", &qkv, [embed_dim, 3 * head_dim]),
            proj: of_slots("proj", &proj, [head_dim, embed_dim]),
        }
    }

    /// Transforms the weights in place.
    pub(super) fn apply(&self, linears: LayerLinears<'_>) {
        let [qkv, proj] = [&*linears.qkv, &*linears.proj].map(Affine::of);
        self.qkv.apply(qkv, rows_of_heads).put_into(linears.qkv);
        self.proj.apply(proj, columns_of_heads).put_into(linears.proj);
    }
}

impl OfSlots {
    /// `arrange` brings the additions to all heads, `[num_heads, d_input, d_output]`, to their places in
    /// the weight.
    fn apply(&self, base: Affine, arrange: fn(Tensor<3>) -> Tensor<2>) -> Affine {
        match self {
            Self::ScaleShift(scale_shift) => scale_shift.apply(base),
            Self::LowRank(LowRankOfSlots { a, b, shift }) => Affine {
                weight: base.weight + arrange(a.val().matmul(b.val())),
                bias: base.bias + shift.val(),
            },
        }
    }
}

/// `[num_heads, embed_dim, 3 * head_dim]` to `[embed_dim, 3 * num_heads * head_dim]`, with outputs in
/// the order of [`HeadLayout::rows`].
fn rows_of_heads(parts: Tensor<3>) -> Tensor<2> {
    let [num_heads, embed_dim, width] = parts.dims();
    parts
        .reshape([num_heads, embed_dim, 3, width / 3])
        .permute([1, 2, 0, 3]) // [embed_dim, 3, num_heads, head_dim]
        .reshape([embed_dim, num_heads * width])
}

/// `[num_heads, head_dim, embed_dim]` to `[num_heads * head_dim, embed_dim]`, with inputs in the order
/// of [`HeadLayout::columns`].
fn columns_of_heads(parts: Tensor<3>) -> Tensor<2> {
    let [num_heads, head_dim, embed_dim] = parts.dims();
    parts.reshape([num_heads * head_dim, embed_dim])
}
