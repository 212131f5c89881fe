//! Swin (<https://arxiv.org/abs/2103.14030>).

mod presets;

use std::ops::Range;

use learngene_tensors::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    Axis, Family, FfnKind, FfnShape, Field, HeadLayout, ImageShape, LayerShape, Parameter, Part,
    Place, Preset, Reshape,
    limits::{MAX_DEPTH, MAX_HEADS, MAX_WIDTH, at_most, check_common, each, positive},
    parameter::Listing,
};

/// Shape of a Swin Transformer.
///
/// A model is a row of stages, each of half the resolution and twice the width of the one before.
/// Layers are counted through all stages. Heads and hidden units may differ in number from layer to
/// layer, and heads together need not be as wide as the tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swin {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Side of a square patch, in pixels.
    pub patch_size: usize,
    /// Side of a window, in tokens; a stage of less resolution is one window.
    pub window_size: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Width of a token in the first stage; it doubles from stage to stage.
    pub embed_dim: usize,
    /// `[stage]`: layers.
    pub depths: Vec<usize>,
    /// `[layer]`: attention heads.
    pub num_heads: Vec<usize>,
    /// `[stage]`: width of one head.
    pub head_dim: Vec<usize>,
    /// `[layer]`: hidden units of the FFN.
    pub hidden_dim: Vec<usize>,
    /// Number of classes; 0 without a classifier.
    pub num_classes: usize,
    /// Epsilon of all layer norms.
    pub layer_norm_eps: f64,
}

impl Swin {
    /// Stages of equal layers whose heads together are as wide as the tokens, with FFNs of four
    /// times that width, as in the Swin paper: windows of 7, patches of 4 px, images of 224 px, 1000
    /// classes.
    ///
    /// # Panics
    /// Panics when `depths` and `num_heads` are of different lengths.
    pub fn uniform(embed_dim: usize, depths: &[usize], num_heads: &[usize]) -> Self {
        assert_eq!(depths.len(), num_heads.len(), "one depth and one head count for each stage");
        let width = |stage: usize| embed_dim << stage;
        let repeat = |of: &dyn Fn(usize) -> usize| {
            let stages = depths.iter().enumerate();
            stages.flat_map(|(stage, depth)| vec![of(stage); *depth]).collect()
        };
        let heads = num_heads.iter().enumerate();
        let head_dim = heads.map(|(stage, heads)| width(stage).checked_div(*heads).unwrap_or(0));
        Self {
            image_size: 224,
            patch_size: 4,
            window_size: 7,
            in_channels: 3,
            embed_dim,
            depths: depths.into(),
            num_heads: repeat(&|stage| num_heads[stage]),
            head_dim: head_dim.collect(),
            hidden_dim: repeat(&|stage| 4 * width(stage)),
            num_classes: 1000,
            layer_norm_eps: 1e-5,
        }
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

    /// Stage of each layer, and its place there.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let stages = self.depths.iter().enumerate();
        stages.flat_map(|(stage, depth)| (0..*depth).map(move |block| (stage, block)))
    }

    /// The windows of a layer: shifted by half in every second layer of a stage, unless the stage is
    /// one window.
    fn field(&self, stage: usize, block: usize) -> Field {
        let (resolution, window) = (self.resolution(stage), self.window(stage));
        let is_shifted = block % 2 == 1 && self.window_size < resolution;
        Field {
            prefix: 0,
            resolution,
            window,
            shift: if is_shifted { self.window_size / 2 } else { 0 },
            token_pixels: self.patch_size << stage,
        }
    }

    fn check_stage(&self, stage: usize) -> Result<()> {
        let grid = self.image_size / self.patch_size;
        // A width that no address can hold is no model either.
        let is_halved = u32::try_from(stage).is_ok_and(|stage| stage <= grid.trailing_zeros());
        if !is_halved {
            let found = format!("{grid} patches a side, halved {stage} times");
            return Err(Error::invalid(format!("stage {stage}"), found, "a whole number"));
        }
        let (resolution, window) = (self.resolution(stage), self.window(stage));
        if resolution.is_multiple_of(window) {
            return Ok(());
        }
        let found = format!("{resolution} tokens a side");
        Err(Error::invalid(format!("stage {stage}"), found, format!("whole windows of {window}")))
    }

    fn stages(&self) -> Range<usize> {
        0..self.depths.len()
    }
}

impl Family for Swin {
    const KEY: &'static str = "swin";
    const PRESETS: &'static [Preset<Self>] = presets::PRESETS;

    fn check(&self) -> Result<()> {
        check_common(self.image(), self.num_classes, self.layer_norm_eps)?;
        positive("embed_dim", self.embed_dim, MAX_WIDTH)?;
        // One that is larger than the image is cut down to it.
        positive("window_size", self.window_size, usize::MAX)?;
        let stages = self.depths.len();
        positive("number of stages", stages, MAX_DEPTH)?;
        each("depths", &self.depths, stages, MAX_DEPTH)?;
        let depth = self.depths.iter().sum();
        at_most("depth", depth, MAX_DEPTH)?;
        each("num_heads", &self.num_heads, depth, MAX_HEADS)?;
        each("head_dim", &self.head_dim, stages, MAX_WIDTH)?;
        each("hidden_dim", &self.hidden_dim, depth, MAX_WIDTH)?;
        self.stages().try_for_each(|stage| self.check_stage(stage))?;
        at_most("width of the last stage", self.stage_dim(stages - 1), MAX_WIDTH)
    }

    fn image(&self) -> ImageShape {
        let (size, patch_size) = (self.image_size, self.patch_size);
        ImageShape { size, patch_size, channels: self.in_channels }
    }

    fn num_classes(&self) -> usize {
        self.num_classes
    }

    fn layers(&self) -> Vec<LayerShape> {
        let layer = |(layer, (stage, block)): (usize, (usize, usize))| LayerShape {
            stage,
            embed_dim: self.stage_dim(stage),
            heads: HeadLayout { num_heads: self.num_heads[layer], head_dim: self.head_dim[stage] },
            ffn: FfnShape { hidden_dim: self.hidden_dim[layer], kind: FfnKind::Mlp },
            field: self.field(stage, block),
        };
        self.places().enumerate().map(layer).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let stream = |stage| Axis::Stream { stage, width: self.stage_dim(stage) };
        let mut list = Listing(Vec::new());
        let pixels = [self.in_channels, self.patch_size, self.patch_size].map(Axis::Fixed);
        let patches = [stream(0), pixels[0], pixels[1], pixels[2]];
        list.linear("patch_embed.proj", Place::Stem, patches);
        list.norm("patch_embed.norm", Place::Stem, stream(0));
        let places = self.layers().into_iter().zip(self.places());
        for (layer, (shape, (stage, block))) in places.enumerate() {
            if stage > 0 && block == 0 {
                let name = format!("layers.{stage}.downsample");
                let place = Place::Merging { stage };
                let merged = Axis::Merged { stage: stage - 1, width: self.stage_dim(stage - 1) };
                list.norm(&format!("{name}.norm"), place, merged);
                list.weight(format!("{name}.reduction.weight"), place, [stream(stage), merged]);
            }
            let name = format!("layers.{stage}.blocks.{block}");
            list.layer(&name, layer, shape);
            let table = format!("{name}.attn.relative_position_bias_table");
            let place = Place::Layer { layer, part: Part::Attention };
            let window = Axis::Window { side: shape.field.window };
            let heads = Axis::PerHead { num_heads: shape.heads.num_heads };
            list.embedding(table, place, [window, heads]);
        }
        let last = stream(self.depths.len() - 1);
        list.norm("norm", Place::FinalNorm, last);
        if self.num_classes > 0 {
            list.linear("head.fc", Place::Classifier, [Axis::Classes(self.num_classes), last]);
        }
        list.0
    }

    fn reshaped(&self, to: &Reshape) -> Result<Self> {
        let same = || (self.num_heads.clone(), self.hidden_dim.clone());
        let (num_heads, hidden_dim) = to.sizes().unwrap_or_else(same);
        let depths = match &to.layers {
            Some(layers) if layers.len() != self.depths.len() => {
                let found = layers.len();
                return Err(Error::invalid("number of stages", found, self.depths.len()));
            }
            Some(layers) => layers.iter().map(Vec::len).collect(),
            None => self.depths.clone(),
        };
        Ok(Self {
            image_size: to.image_size.unwrap_or(self.image_size),
            embed_dim: to.embed_dim.unwrap_or(self.embed_dim),
            depths,
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

    #[test]
    fn windows_shift_in_every_second_layer_unless_the_stage_is_one() {
        let layers = Swin::swin_tiny().layers();
        let shifts: Vec<usize> = layers.iter().map(|layer| layer.field.shift).collect();
        assert_eq!(shifts, [0, 3, 0, 3, 0, 3, 0, 3, 0, 3, 0, 0]);
        assert_eq!(layers[11].field.resolution, 7);
    }

    fn check_refused(swin: Swin, message: &str) {
        assert_eq!(swin.shape().expect_err(message).to_string(), message);
    }

    #[test]
    fn impossible_shapes_are_refused_by_field() {
        let tiny = Swin::swin_tiny;
        check_refused(
            Swin { image_size: 226, ..tiny() },
            "image_size: found 226, expected a multiple of the patch size, 4",
        );
        check_refused(
            Swin { image_size: 112, patch_size: 8, ..tiny() },
            "stage 2: found 14 patches a side, halved 2 times, expected a whole number",
        );
        check_refused(
            Swin { image_size: 256, ..tiny() },
            "stage 0: found 64 tokens a side, expected whole windows of 7",
        );
        let short = Swin { head_dim: vec![32], ..tiny() };
        check_refused(short, "head_dim: found 1 entries, expected 4");
        let empty = Swin { depths: vec![2, 0, 8, 2], ..tiny() };
        check_refused(empty, "depths[1]: found 0, expected at least 1");
        let none = Swin { num_heads: vec![0; 12], ..tiny() };
        check_refused(none, "num_heads[0]: found 0, expected at least 1");
        let wide = Swin { embed_dim: 65_536, ..tiny() };
        check_refused(wide, "width of the last stage: found 524288, expected at most 65536");
        let huge = Swin { window_size: 10_000_000_000, ..tiny() };
        assert!(huge.shape().is_ok(), "a window is cut down to the image");
    }

    #[test]
    fn tokens_merge_at_the_start_of_a_stage() {
        let shape = Swin::swin_tiny().shape().expect("a preset");
        assert_eq!(shape.parameter_shapes()["layers.3.downsample.reduction.weight"], [768, 1536]);
        assert_eq!(shape.stages(), [0..2, 2..4, 4..10, 10..12]);
    }
}
