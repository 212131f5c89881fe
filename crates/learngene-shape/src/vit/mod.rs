//! ViT (<https://arxiv.org/abs/2010.11929>) and DeiT (<https://arxiv.org/abs/2012.12877>).

mod presets;

use learngene_tensors::Result;
use serde::{Deserialize, Serialize};

use crate::{
    Axis, Family, FfnKind, FfnShape, Field, HeadLayout, ImageShape, LayerShape, Parameter, Place,
    Preset, Reshape,
    limits::{MAX_DEPTH, MAX_HEADS, MAX_WIDTH, check_common, each, positive},
    parameter::Listing,
};

/// Shape of a vision transformer (ViT, DeiT).
///
/// Heads and hidden units may differ in number from layer to layer, and `num_heads * head_dim` need
/// not be `embed_dim`: descendants of a learngene make use of all three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vit {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Side of a square patch, in pixels.
    pub patch_size: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Width of a token in the residual stream.
    pub embed_dim: usize,
    /// `[layer]`: attention heads.
    pub num_heads: Vec<usize>,
    /// Width of one head, the same in all layers.
    pub head_dim: usize,
    /// `[layer]`: hidden units of the FFN.
    pub hidden_dim: Vec<usize>,
    /// Kind of all FFNs.
    pub ffn: FfnKind,
    /// Number of classes; 0 without a classifier.
    pub num_classes: usize,
    /// Epsilon of all layer norms; timm's ViT and DeiT use 1e-6.
    pub layer_norm_eps: f64,
}

impl Vit {
    /// A model of patches of 16 px in images of 224 px, for 1000 classes, with Mlp FFNs.
    pub fn new(
        embed_dim: usize,
        num_heads: Vec<usize>,
        head_dim: usize,
        hidden_dim: Vec<usize>,
    ) -> Self {
        Self {
            image_size: 224,
            patch_size: 16,
            in_channels: 3,
            embed_dim,
            num_heads,
            head_dim,
            hidden_dim,
            ffn: FfnKind::Mlp,
            num_classes: 1000,
            layer_norm_eps: 1e-6,
        }
    }

    /// `depth` equal layers whose heads together are as wide as the embedding, with FFNs of four
    /// times that width, as in the ViT paper.
    ///
    /// The head width is rounded down where the heads do not divide the embedding.
    pub fn uniform(embed_dim: usize, depth: usize, num_heads: usize) -> Self {
        let head_dim = embed_dim.checked_div(num_heads).unwrap_or(0);
        Self::new(embed_dim, vec![num_heads; depth], head_dim, vec![4 * embed_dim; depth])
    }

    /// Patches along one side of the image.
    fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

impl Family for Vit {
    const KEY: &'static str = "vit";
    const PRESETS: &'static [Preset<Self>] = presets::PRESETS;

    fn check(&self) -> Result<()> {
        let depth = self.num_heads.len();
        check_common(self.image(), self.num_classes, self.layer_norm_eps)?;
        positive("embed_dim", self.embed_dim, MAX_WIDTH)?;
        positive("head_dim", self.head_dim, MAX_WIDTH)?;
        positive("depth", depth, MAX_DEPTH)?;
        each("num_heads", &self.num_heads, depth, MAX_HEADS)?;
        each("hidden_dim", &self.hidden_dim, depth, MAX_WIDTH)
    }

    fn image(&self) -> ImageShape {
        let (size, patch_size) = (self.image_size, self.patch_size);
        ImageShape { size, patch_size, channels: self.in_channels }
    }

    fn num_classes(&self) -> usize {
        self.num_classes
    }

    fn layers(&self) -> Vec<LayerShape> {
        let field = Field {
            prefix: 1,
            resolution: self.grid(),
            window: self.grid(),
            shift: 0,
            token_pixels: self.patch_size,
        };
        let layer = |(&num_heads, &hidden_dim): (&usize, &usize)| LayerShape {
            stage: 0,
            embed_dim: self.embed_dim,
            heads: HeadLayout { num_heads, head_dim: self.head_dim },
            ffn: FfnShape { hidden_dim, kind: self.ffn },
            field,
        };
        self.num_heads.iter().zip(&self.hidden_dim).map(layer).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let stream = Axis::Stream { stage: 0, width: self.embed_dim };
        let one = Axis::Fixed(1);
        let mut list = Listing(Vec::new());
        list.embedding("cls_token".into(), Place::Stem, [one, one, stream]);
        let positions = Axis::Grid { prefix: 1, side: self.grid() };
        list.embedding("pos_embed".into(), Place::Stem, [one, positions, stream]);
        let pixels = [self.in_channels, self.patch_size, self.patch_size].map(Axis::Fixed);
        let patches = [stream, pixels[0], pixels[1], pixels[2]];
        list.linear("patch_embed.proj", Place::Stem, patches);
        for (layer, shape) in self.layers().into_iter().enumerate() {
            list.layer(&format!("blocks.{layer}"), layer, shape);
        }
        list.norm("norm", Place::FinalNorm, stream);
        if self.num_classes > 0 {
            list.linear("head", Place::Classifier, [Axis::Classes(self.num_classes), stream]);
        }
        list.0
    }

    fn reshaped(&self, to: &Reshape) -> Result<Self> {
        let same = || (self.num_heads.clone(), self.hidden_dim.clone());
        let (num_heads, hidden_dim) = to.sizes().unwrap_or_else(same);
        if let Some(stages) = &to.layers {
            each("stages", &[stages.len()], 1, 1)?;
        }
        Ok(Self {
            image_size: to.image_size.unwrap_or(self.image_size),
            embed_dim: to.embed_dim.unwrap_or(self.embed_dim),
            num_heads,
            hidden_dim,
            num_classes: to.num_classes.unwrap_or(self.num_classes),
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(vit: Vit, message: &str) {
        assert_eq!(vit.shape().expect_err(message).to_string(), message);
    }

    #[test]
    fn impossible_shapes_are_refused_by_field() {
        let vit = || Vit::uniform(48, 2, 3);
        check_refused(
            Vit { image_size: 100, ..vit() },
            "image_size: found 100, expected a multiple of the patch size, 16",
        );
        check_refused(Vit { image_size: 0, ..vit() }, "image_size: found 0, expected at least 1");
        check_refused(Vit::uniform(48, 0, 3), "depth: found 0, expected at least 1");
        let none = Vit { num_heads: vec![3, 0], ..vit() };
        check_refused(none, "num_heads[1]: found 0, expected at least 1");
        let short = Vit { hidden_dim: vec![9], ..vit() };
        check_refused(short, "hidden_dim: found 1 entries, expected 2");
        let eps = Vit { layer_norm_eps: 0.0, ..vit() };
        check_refused(eps, "layer_norm_eps: found 0, expected a positive, finite number");
        for (vit, field, limit) in [
            (Vit { embed_dim: usize::MAX, ..vit() }, "embed_dim", 65_536),
            (Vit { head_dim: usize::MAX, ..vit() }, "head_dim", 65_536),
            (Vit { hidden_dim: vec![1, usize::MAX], ..vit() }, "hidden_dim[1]", 65_536),
            (Vit { image_size: usize::MAX, ..vit() }, "image_size", 8192),
            (Vit { in_channels: usize::MAX, ..vit() }, "in_channels", 1024),
            (Vit { num_classes: usize::MAX, ..vit() }, "num_classes", 1_048_576),
            (Vit { num_heads: vec![usize::MAX, 3], ..vit() }, "num_heads[0]", 1024),
        ] {
            let message = format!("{field}: found {}, expected at most {limit}", usize::MAX);
            check_refused(vit, &message);
        }
        let deep = Vit::uniform(48, 1025, 3);
        check_refused(deep, "depth: found 1025, expected at most 1024");
    }

    #[test]
    fn a_gated_ffn_has_two_rows_for_each_hidden_unit() {
        let vit = Vit { ffn: FfnKind::SwiGlu, ..Vit::new(24, vec![3, 1], 8, vec![40, 33]) };
        let shapes = vit.shape().expect("possible").parameter_shapes();
        assert_eq!(shapes["blocks.1.mlp.fc1.weight"], [66, 24]);
        assert_eq!(shapes["blocks.1.mlp.fc2.weight"], [24, 33]);
        assert_eq!(shapes["blocks.1.attn.qkv.weight"], [24, 24]);
    }
}
