//! Shapes of a vision transformer, and the presets of its papers.

use burn::config::Config;

use crate::{
    HeadLayout, LayerShape, ShapeError,
    limits::{
        MAX_CHANNELS, MAX_CLASSES, MAX_DEPTH, MAX_IMAGE_SIZE, MAX_WIDTH, at_most, check_heads,
        check_sizes,
    },
};

/// Shape of a vision transformer (ViT, DeiT): everything that its parameters' shapes follow from.
///
/// Heads may differ in number from layer to layer, and `num_heads * head_dim` need not be
/// `embed_dim`: descendants of a learngene make use of both.
#[derive(Config, Debug, PartialEq)]
pub struct VitConfig {
    /// Width of a token in the residual stream.
    pub embed_dim: usize,
    /// Attention heads of each layer; as long as the model is deep.
    pub num_heads: Vec<usize>,
    /// Width of one head, the same in all layers.
    pub head_dim: usize,
    /// Hidden width of the feed-forward networks.
    pub mlp_hidden_dim: usize,
    /// Side of the square input, in pixels.
    #[config(default = 224)]
    pub image_size: usize,
    /// Side of a square patch, in pixels.
    #[config(default = 16)]
    pub patch_size: usize,
    /// Channels of the input.
    #[config(default = 3)]
    pub in_channels: usize,
    /// Classes told apart; 0 for a backbone without a classifier head.
    #[config(default = 1000)]
    pub num_classes: usize,
    /// Epsilon of all layer norms; timm's ViT and DeiT use 1e-6.
    #[config(default = 1e-6)]
    pub layer_norm_eps: f64,
}

impl VitConfig {
    /// `depth` equal layers whose heads together are as wide as the embedding, with an MLP of
    /// four times that width, as in the ViT paper.
    ///
    /// The head width is rounded down where the heads do not divide the embedding.
    pub fn uniform(embed_dim: usize, depth: usize, num_heads: usize) -> Self {
        let head_dim = embed_dim.checked_div(num_heads).unwrap_or(0);
        Self::new(embed_dim, vec![num_heads; depth], head_dim, 4 * embed_dim)
    }

    /// DeiT-Ti/16, <https://arxiv.org/abs/2012.12877>, Table 1.
    pub fn deit_tiny() -> Self {
        Self::uniform(192, 12, 3)
    }

    /// DeiT-S/16, <https://arxiv.org/abs/2012.12877>, Table 1.
    pub fn deit_small() -> Self {
        Self::uniform(384, 12, 6)
    }

    /// DeiT-B/16, <https://arxiv.org/abs/2012.12877>, Table 1.
    pub fn deit_base() -> Self {
        Self::uniform(768, 12, 12)
    }

    /// ViT-L/16, <https://arxiv.org/abs/2010.11929>, Table 1.
    pub fn vit_large() -> Self {
        Self::uniform(1024, 24, 16)
    }

    /// ViT-S/14 as in DINOv2, <https://arxiv.org/abs/2304.07193>, Table 17; no classifier.
    pub fn vit_small_patch14() -> Self {
        Self::uniform(384, 12, 6).with_patch_size(14).with_num_classes(0)
    }

    /// ViT-B/14 as in DINOv2, <https://arxiv.org/abs/2304.07193>, Table 17; no classifier.
    pub fn vit_base_patch14() -> Self {
        Self::uniform(768, 12, 12).with_patch_size(14).with_num_classes(0)
    }

    /// Names that [`VitConfig::preset`] knows, as timm spells them.
    pub const PRESETS: [&str; 10] = [
        "deit_tiny_patch16_224",
        "deit_small_patch16_224",
        "deit_base_patch16_224",
        "vit_tiny_patch16_224",
        "vit_small_patch16_224",
        "vit_base_patch16_224",
        "vit_large_patch16_224",
        "vit_small_patch14_224",
        "vit_small_patch14_dinov2",
        "vit_base_patch14_dinov2",
    ];

    /// The preset of a timm model name, if it is one of [`VitConfig::PRESETS`].
    ///
    /// The smaller ViTs are DeiT's (<https://arxiv.org/abs/2106.10270>, Table 1); DINOv2 takes images
    /// of 518 px where its name tells no other size.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "deit_tiny_patch16_224" | "vit_tiny_patch16_224" => Some(Self::deit_tiny()),
            "deit_small_patch16_224" | "vit_small_patch16_224" => Some(Self::deit_small()),
            "deit_base_patch16_224" | "vit_base_patch16_224" => Some(Self::deit_base()),
            "vit_large_patch16_224" => Some(Self::vit_large()),
            "vit_small_patch14_224" => Some(Self::vit_small_patch14()),
            "vit_small_patch14_dinov2" => Some(Self::vit_small_patch14().with_image_size(518)),
            "vit_base_patch14_dinov2" => Some(Self::vit_base_patch14().with_image_size(518)),
            _ => None,
        }
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.num_heads.len()
    }

    /// Patches along one side of the image.
    pub fn grid_size(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of an image.
    pub fn num_patches(&self) -> usize {
        self.grid_size() * self.grid_size()
    }

    /// Where the heads of a layer lie in its attention weights.
    pub fn head_layout(&self, layer: usize) -> HeadLayout {
        HeadLayout { num_heads: self.num_heads[layer], head_dim: self.head_dim }
    }

    /// Shape of one layer.
    pub fn layer(&self, layer: usize) -> LayerShape {
        LayerShape {
            embed_dim: self.embed_dim,
            heads: self.head_layout(layer),
            mlp_hidden_dim: self.mlp_hidden_dim,
            relative_positions: None,
        }
    }

    /// Checks that a model of this shape can exist.
    ///
    /// # Errors
    /// Names the first size that is zero or above its [limit](crate::limits), the layer without
    /// heads, or the image that cannot be cut into whole patches.
    pub fn check(&self) -> Result<(), ShapeError> {
        check_sizes([
            ("embed_dim", self.embed_dim, MAX_WIDTH),
            ("depth", self.depth(), MAX_DEPTH),
            ("head_dim", self.head_dim, MAX_WIDTH),
            ("mlp_hidden_dim", self.mlp_hidden_dim, MAX_WIDTH),
            ("image_size", self.image_size, MAX_IMAGE_SIZE),
            ("patch_size", self.patch_size, MAX_IMAGE_SIZE),
            ("in_channels", self.in_channels, MAX_CHANNELS),
        ])?;
        at_most("num_classes", self.num_classes, MAX_CLASSES)?;
        check_heads(&self.num_heads)?;
        if !self.image_size.is_multiple_of(self.patch_size) {
            let Self { image_size, patch_size, .. } = *self;
            return Err(ShapeError::PartialPatches { image_size, patch_size });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_possible_model() {
        for name in VitConfig::PRESETS {
            let config = VitConfig::preset(name).expect("PRESETS lists what preset knows");
            assert_eq!(config.check(), Ok(()), "{name}");
            let depth = if name.starts_with("vit_large") { 24 } else { 12 };
            assert_eq!(config.depth(), depth, "{name}");
            assert_eq!(config.head_dim, 64, "{name}");
            assert_eq!(config.num_heads[0] * 64, config.embed_dim, "{name}");
        }
    }

    #[test]
    fn impossible_shapes_are_named() {
        let config = VitConfig::uniform(48, 2, 3);
        let cases = [
            (
                config.clone().with_image_size(100),
                "image size 100 is not a multiple of the patch size 16",
            ),
            (
                VitConfig::uniform(48, 0, 3),
                "depth of a vision transformer must be at least 1, got 0",
            ),
            (
                VitConfig::new(48, vec![3, 0], 16, 96),
                "layer 1 of a vision transformer must have at least 1 head, got 0",
            ),
            (
                config.clone().with_image_size(0),
                "image_size of a vision transformer must be at least 1, got 0",
            ),
        ];
        for (config, message) in cases {
            let error = config.check().expect_err(message);
            assert_eq!(error.to_string(), message);
        }
    }
}
