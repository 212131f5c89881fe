//! Shapes of a Swin Transformer, and the presets of its paper.

use std::collections::BTreeMap;

use burn::{
    config::Config,
    tensor::{Device, Tensor},
};

use super::windows::Windows;
use crate::{
    HeadLayout, LayerShape, ShapeError,
    limits::{
        MAX_CHANNELS, MAX_CLASSES, MAX_DEPTH, MAX_IMAGE_SIZE, MAX_WIDTH, at_most, check_heads,
        check_sizes,
    },
};

/// Shape of a Swin Transformer: everything that its parameters' shapes follow from.
///
/// A model is a row of stages, each of half the resolution and twice the width of the one before.
/// Layers are counted through all stages. Heads may differ in number from layer to layer, and
/// together need not be as wide as the tokens: descendants of a learngene make use of both.
#[derive(Config, Debug, PartialEq)]
pub struct SwinConfig {
    /// Width of a token in the first stage; it doubles from stage to stage.
    pub embed_dim: usize,
    /// `[stage][block]`: attention heads of each layer.
    pub num_heads: Vec<Vec<usize>>,
    /// `[stage]`: width of one head.
    pub head_dim: Vec<usize>,
    /// `[stage]`: hidden width of the feed-forward networks.
    pub mlp_hidden_dim: Vec<usize>,
    /// Side of a window, in tokens; a stage of less resolution is one window.
    #[config(default = 7)]
    pub window_size: usize,
    /// Side of the square input, in pixels.
    #[config(default = 224)]
    pub image_size: usize,
    /// Side of a square patch, in pixels.
    #[config(default = 4)]
    pub patch_size: usize,
    /// Channels of the input.
    #[config(default = 3)]
    pub in_channels: usize,
    /// Classes told apart; 0 for a backbone without a classifier head.
    #[config(default = 1000)]
    pub num_classes: usize,
    /// Epsilon of all layer norms.
    #[config(default = 1e-5)]
    pub layer_norm_eps: f64,
}

impl SwinConfig {
    /// Stages of equal layers whose heads together are as wide as the tokens, with an MLP of four
    /// times that width, as in the Swin paper.
    ///
    /// # Panics
    /// Panics when `depths` and `num_heads` tell of different numbers of stages.
    pub fn uniform(embed_dim: usize, depths: &[usize], num_heads: &[usize]) -> Self {
        assert_eq!(depths.len(), num_heads.len(), "one depth and one head count for each stage");
        let widths = || (0..depths.len()).map(|stage| embed_dim << stage);
        let heads = depths.iter().zip(num_heads).map(|(depth, heads)| vec![*heads; *depth]);
        let head_dim = widths().zip(num_heads).map(|(dim, heads)| dim.checked_div(*heads));
        Self::new(
            embed_dim,
            heads.collect(),
            head_dim.map(Option::unwrap_or_default).collect(),
            widths().map(|dim| 4 * dim).collect(),
        )
    }

    /// Swin-T, <https://arxiv.org/abs/2103.14030>, section 3.3.
    pub fn swin_tiny() -> Self {
        Self::uniform(96, &[2, 2, 6, 2], &[3, 6, 12, 24])
    }

    /// Swin-S, <https://arxiv.org/abs/2103.14030>, section 3.3.
    pub fn swin_small() -> Self {
        Self::uniform(96, &[2, 2, 18, 2], &[3, 6, 12, 24])
    }

    /// Swin-B, <https://arxiv.org/abs/2103.14030>, section 3.3.
    pub fn swin_base() -> Self {
        Self::uniform(128, &[2, 2, 18, 2], &[4, 8, 16, 32])
    }

    /// Names that [`SwinConfig::preset`] knows, as timm spells them.
    pub const PRESETS: [&str; 3] = [
        "swin_tiny_patch4_window7_224",
        "swin_small_patch4_window7_224",
        "swin_base_patch4_window7_224",
    ];

    /// The preset of a timm model name, if it is one of [`SwinConfig::PRESETS`].
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "swin_tiny_patch4_window7_224" => Some(Self::swin_tiny()),
            "swin_small_patch4_window7_224" => Some(Self::swin_small()),
            "swin_base_patch4_window7_224" => Some(Self::swin_base()),
            _ => None,
        }
    }

    /// Number of stages.
    pub fn num_stages(&self) -> usize {
        self.num_heads.len()
    }

    /// Layers of each stage.
    pub fn depths(&self) -> Vec<usize> {
        self.num_heads.iter().map(Vec::len).collect()
    }

    /// Layers of all stages together.
    pub fn depth(&self) -> usize {
        self.num_heads.iter().map(Vec::len).sum()
    }

    /// Stage of a layer, and its place there.
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn stage_and_block(&self, layer: usize) -> (usize, usize) {
        let mut block = layer;
        for (stage, heads) in self.num_heads.iter().enumerate() {
            if block < heads.len() {
                return (stage, block);
            }
            block -= heads.len();
        }
        panic!("the model has {} layers, so none of index {layer}", self.depth());
    }

    /// Width of a stage's tokens.
    pub fn stage_dim(&self, stage: usize) -> usize {
        self.embed_dim << stage
    }

    /// Tokens along one side of the image in a stage.
    pub fn resolution(&self, stage: usize) -> usize {
        (self.image_size / self.patch_size) >> stage
    }

    /// Side of a window in a stage, in tokens: at most the resolution.
    pub fn window(&self, stage: usize) -> usize {
        self.window_size.min(self.resolution(stage))
    }

    /// By how many tokens the windows of a layer are shifted: half a window in every second layer
    /// of a stage, unless the stage is one window.
    pub fn shift(&self, stage: usize, block: usize) -> usize {
        let is_one_window = self.window_size >= self.resolution(stage);
        if block % 2 == 1 && !is_one_window { self.window_size / 2 } else { 0 }
    }

    /// Pixels of the input between neighbouring tokens of a stage.
    pub fn token_pixels(&self, stage: usize) -> usize {
        self.patch_size << stage
    }

    /// Windows of an image in a layer.
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn num_windows(&self, layer: usize) -> usize {
        self.windows(layer).count()
    }

    /// 1 for each pair of tokens of a window that belong together, 0 where a shift brought them
    /// from opposite edges of the image, so that attention masks the pair; none where the windows
    /// of the layer are not shifted.
    ///
    /// # Shapes
    /// - output: `[windows, window^2, window^2]`, queries first
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn unmasked_pairs(&self, layer: usize, device: &Device) -> Option<Tensor<3>> {
        self.windows(layer).mask(device).map(|mask| mask.equal_elem(0.0).float())
    }

    /// How a layer cuts its tokens.
    pub(super) fn windows(&self, layer: usize) -> Windows {
        let (stage, block) = self.stage_and_block(layer);
        Windows {
            resolution: self.resolution(stage),
            window: self.window(stage),
            shift: self.shift(stage, block),
        }
    }

    /// Shape of one layer.
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn layer(&self, layer: usize) -> LayerShape {
        let (stage, block) = self.stage_and_block(layer);
        LayerShape {
            embed_dim: self.stage_dim(stage),
            heads: HeadLayout {
                num_heads: self.num_heads[stage][block],
                head_dim: self.head_dim[stage],
            },
            mlp_hidden_dim: self.mlp_hidden_dim[stage],
            relative_positions: Some((2 * self.window(stage) - 1).pow(2)),
        }
    }

    /// Checks that a model of this shape can exist.
    ///
    /// # Errors
    /// Names the first size that is zero or above its [limit](crate::limits), the list that does not
    /// fit the stages, the layer without heads, or the stage whose tokens cannot be cut into whole
    /// windows.
    pub fn check(&self) -> Result<(), ShapeError> {
        let sizes = [
            ("embed_dim", self.embed_dim, MAX_WIDTH),
            ("number of stages", self.num_stages(), MAX_DEPTH),
            // One that is larger than the image is cut down to it.
            ("window_size", self.window_size, usize::MAX),
            ("image_size", self.image_size, MAX_IMAGE_SIZE),
            ("patch_size", self.patch_size, MAX_IMAGE_SIZE),
            ("in_channels", self.in_channels, MAX_CHANNELS),
        ];
        let stages = self.num_stages();
        for (field, list) in
            [("head_dim", &self.head_dim), ("mlp_hidden_dim", &self.mlp_hidden_dim)]
        {
            if list.len() != stages {
                return Err(ShapeError::PerStage { field, found: list.len(), stages });
            }
        }
        let per_stage = (self.head_dim.iter().map(|size| ("head_dim", *size, MAX_WIDTH)))
            .chain(self.mlp_hidden_dim.iter().map(|size| ("mlp_hidden_dim", *size, MAX_WIDTH)))
            .chain(
                self.num_heads.iter().map(|blocks| ("depth of a stage", blocks.len(), MAX_DEPTH)),
            );
        check_sizes(sizes.into_iter().chain(per_stage))?;
        at_most("depth", self.depth(), MAX_DEPTH)?;
        at_most("num_classes", self.num_classes, MAX_CLASSES)?;
        check_heads(self.num_heads.iter().flatten())?;
        let Self { image_size, patch_size, .. } = *self;
        if !image_size.is_multiple_of(patch_size) {
            return Err(ShapeError::PartialPatches { image_size, patch_size });
        }
        (0..stages).try_for_each(|stage| self.check_windows(stage))?;
        at_most("width of the last stage", self.stage_dim(stages - 1), MAX_WIDTH)
    }

    fn check_windows(&self, stage: usize) -> Result<(), ShapeError> {
        let grid = self.image_size / self.patch_size;
        // A width that no address can hold is no model either.
        let is_halved = u32::try_from(stage).is_ok_and(|stage| stage <= grid.trailing_zeros());
        if !is_halved {
            return Err(ShapeError::OddGrid { stage, grid });
        }
        let (resolution, window) = (self.resolution(stage), self.window(stage));
        if resolution.is_multiple_of(window) {
            return Ok(());
        }
        Err(ShapeError::PartialWindows { stage, resolution, window })
    }

    /// Names and shapes of all parameters, as timm (0.9 and later) has them; linear weights are
    /// `[out, in]`.
    ///
    /// ```
    /// # use learngene_models::SwinConfig;
    /// let shapes = SwinConfig::swin_tiny().parameter_shapes();
    /// assert_eq!(shapes["layers.3.downsample.reduction.weight"], [768, 1536]);
    /// ```
    pub fn parameter_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let embed = self.embed_dim;
        let mut shapes = BTreeMap::new();
        let mut affine = |name: String, weight: Vec<usize>| {
            shapes.insert(format!("{name}.bias"), vec![weight[0]]);
            shapes.insert(format!("{name}.weight"), weight);
        };
        affine(
            "patch_embed.proj".into(),
            vec![embed, self.in_channels, self.patch_size, self.patch_size],
        );
        affine("patch_embed.norm".into(), vec![embed]);
        let last = self.stage_dim(self.num_stages() - 1);
        affine("norm".into(), vec![last]);
        if self.num_classes > 0 {
            affine("head.fc".into(), vec![self.num_classes, last]);
        }
        for layer in 0..self.depth() {
            let (stage, block) = self.stage_and_block(layer);
            for (name, weight) in self.layer(layer).affine_shapes() {
                affine(format!("layers.{stage}.blocks.{block}.{name}"), weight);
            }
        }
        for stage in 1..self.num_stages() {
            affine(format!("layers.{stage}.downsample.norm"), vec![2 * self.stage_dim(stage)]);
        }
        for stage in 1..self.num_stages() {
            let dim = self.stage_dim(stage);
            shapes
                .insert(format!("layers.{stage}.downsample.reduction.weight"), vec![dim, 2 * dim]);
        }
        for layer in 0..self.depth() {
            let (stage, block) = self.stage_and_block(layer);
            let shape = self.layer(layer);
            let table = vec![(2 * self.window(stage) - 1).pow(2), shape.heads.num_heads];
            shapes.insert(
                format!("layers.{stage}.blocks.{block}.attn.relative_position_bias_table"),
                table,
            );
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_known_by_name_and_possible() {
        for name in SwinConfig::PRESETS {
            let config = SwinConfig::preset(name).expect("PRESETS lists what preset knows");
            assert_eq!(config.check(), Ok(()), "{name}");
            assert_eq!(config.head_dim, [32; 4], "{name}");
        }
    }

    #[test]
    fn windows_shift_in_every_second_layer_unless_the_stage_is_one() {
        let config = SwinConfig::swin_tiny();
        let shifts = |stage| [0, 1].map(|block| config.shift(stage, block));
        assert_eq!([0, 1, 2].map(shifts), [[0, 3]; 3]);
        assert_eq!((config.resolution(3), shifts(3)), (7, [0, 0]));
    }

    #[test]
    fn layers_are_counted_through_all_stages() {
        let config = SwinConfig::swin_tiny();
        assert_eq!(
            [0, 1, 2, 4, 9, 10].map(|layer| config.stage_and_block(layer)),
            [(0, 0), (0, 1), (1, 0), (2, 0), (2, 5), (3, 0)]
        );
    }

    #[test]
    fn impossible_shapes_are_named() {
        let tiny = SwinConfig::swin_tiny;
        let cases = [
            (tiny().with_image_size(226), "image size 226 is not a multiple of the patch size 4"),
            (
                tiny().with_image_size(112).with_patch_size(8),
                "stage 2 of a Swin halves the side of 14 patches 2 times, which leaves a part",
            ),
            (
                tiny().with_image_size(256),
                "stage 0 of a Swin has 64 tokens a side, which are no whole windows of 7",
            ),
            (
                SwinConfig { head_dim: vec![32], ..tiny() },
                "head_dim of a Swin must have one entry for each of 4 stages, got 1",
            ),
            (
                SwinConfig { num_heads: vec![vec![3], vec![], vec![3], vec![3]], ..tiny() },
                "depth of a stage of a vision transformer must be at least 1, got 0",
            ),
            (
                SwinConfig { num_heads: vec![vec![3], vec![6], vec![0], vec![3]], ..tiny() },
                "layer 2 of a vision transformer must have at least 1 head, got 0",
            ),
        ];
        for (config, message) in cases {
            assert_eq!(config.check().expect_err(message).to_string(), message);
        }
    }
}
