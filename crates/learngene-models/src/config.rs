//! Shape of a model of any family.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{LayerShape, ShapeError, SwinConfig, VitConfig};

/// Shape of a model of any family.
///
/// Layers are counted from 0 through the whole model, also where it has stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "lowercase")]
pub enum ModelConfig {
    /// ViT and DeiT.
    Vit(VitConfig),
    /// Swin.
    Swin(SwinConfig),
}

impl From<VitConfig> for ModelConfig {
    fn from(config: VitConfig) -> Self {
        Self::Vit(config)
    }
}

impl From<SwinConfig> for ModelConfig {
    fn from(config: SwinConfig) -> Self {
        Self::Swin(config)
    }
}

/// The same field of either family.
macro_rules! field {
    ($self:ident.$field:ident) => {
        match $self {
            Self::Vit(config) => config.$field,
            Self::Swin(config) => config.$field,
        }
    };
}

impl ModelConfig {
    /// Reads JSON as a shape; one that names no family is a ViT's.
    ///
    /// # Errors
    /// Those of serde_json, for text that is no such object.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut value: serde_json::Value = serde_json::from_slice(json)?;
        if let Some(fields) = value.as_object_mut() {
            fields.entry("family").or_insert_with(|| "vit".into());
        }
        serde_json::from_value(value)
    }

    /// The preset of a timm model name, if there is one.
    pub fn preset(name: &str) -> Option<Self> {
        let swin = || SwinConfig::preset(name).map(Self::Swin);
        VitConfig::preset(name).map(Self::Vit).or_else(swin)
    }

    /// Names that [`ModelConfig::preset`] knows.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        VitConfig::PRESETS.into_iter().chain(SwinConfig::PRESETS)
    }

    /// Name of the family: `vit` or `swin`.
    pub fn family(&self) -> &'static str {
        match self {
            Self::Vit(_) => "vit",
            Self::Swin(_) => "swin",
        }
    }

    /// Tokens of a layer, and how many of them each attends to.
    pub fn tokens_and_keys(&self, layer: usize) -> (usize, usize) {
        match self {
            Self::Vit(vit) => (1 + vit.num_patches(), 1 + vit.num_patches()),
            Self::Swin(swin) => {
                let (stage, _) = swin.stage_and_block(layer);
                (swin.resolution(stage).pow(2), swin.window(stage).pow(2))
            }
        }
    }

    /// Number of layers, of all stages together.
    pub fn depth(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.depth(),
            Self::Swin(swin) => swin.depth(),
        }
    }

    /// Layers of each stage; a ViT is one stage.
    pub fn stages(&self) -> Vec<Range<usize>> {
        let depths = match self {
            Self::Vit(vit) => vec![vit.depth()],
            Self::Swin(swin) => swin.depths(),
        };
        let mut start = 0;
        let ranges = depths.into_iter().map(|depth| {
            start += depth;
            start - depth..start
        });
        ranges.collect()
    }

    /// Heads of each layer.
    pub fn num_heads(&self) -> Vec<usize> {
        match self {
            Self::Vit(vit) => vit.num_heads.clone(),
            Self::Swin(swin) => swin.num_heads.concat(),
        }
    }

    /// Shape of one layer.
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn layer(&self, layer: usize) -> LayerShape {
        match self {
            Self::Vit(vit) => vit.layer(layer),
            Self::Swin(swin) => swin.layer(layer),
        }
    }

    /// Where a checkpoint in timm's names keeps a layer: `blocks.3`, or `layers.1.blocks.0`.
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn block(&self, layer: usize) -> String {
        match self {
            Self::Vit(_) => format!("blocks.{layer}"),
            Self::Swin(swin) => {
                let (stage, block) = swin.stage_and_block(layer);
                format!("layers.{stage}.blocks.{block}")
            }
        }
    }

    /// Where a checkpoint in timm's names keeps the classifier: `head`, or `head.fc`.
    pub fn head(&self) -> &'static str {
        match self {
            Self::Vit(_) => "head",
            Self::Swin(_) => "head.fc",
        }
    }

    /// Width of a token in the first layer.
    pub fn embed_dim(&self) -> usize {
        field!(self.embed_dim)
    }

    /// Width of the features that the classifier reads.
    pub fn num_features(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.embed_dim,
            Self::Swin(swin) => swin.stage_dim(swin.num_stages().saturating_sub(1)),
        }
    }

    /// Side of the square that one query attends to in a layer, in pixels of the input: the image's
    /// for ViT, the window's for Swin.
    pub fn attended_side(&self, layer: usize) -> usize {
        match self {
            Self::Vit(vit) => vit.image_size,
            Self::Swin(swin) => {
                let (stage, _) = swin.stage_and_block(layer);
                swin.window(stage) * swin.token_pixels(stage)
            }
        }
    }

    /// Side of the square input, in pixels.
    pub fn image_size(&self) -> usize {
        field!(self.image_size)
    }

    /// Side of a square patch, in pixels.
    pub fn patch_size(&self) -> usize {
        field!(self.patch_size)
    }

    /// Channels of the input.
    pub fn in_channels(&self) -> usize {
        field!(self.in_channels)
    }

    /// Classes told apart; 0 without a classifier.
    pub fn num_classes(&self) -> usize {
        field!(self.num_classes)
    }

    /// Epsilon of all layer norms.
    pub fn layer_norm_eps(&self) -> f64 {
        field!(self.layer_norm_eps)
    }

    /// The same shape for another number of classes.
    pub fn with_num_classes(mut self, num_classes: usize) -> Self {
        match &mut self {
            Self::Vit(vit) => vit.num_classes = num_classes,
            Self::Swin(swin) => swin.num_classes = num_classes,
        }
        self
    }

    /// The same shape for images of another side, in pixels.
    pub fn with_image_size(mut self, image_size: usize) -> Self {
        match &mut self {
            Self::Vit(vit) => vit.image_size = image_size,
            Self::Swin(swin) => swin.image_size = image_size,
        }
        self
    }

    /// Checks that a model of this shape can exist.
    ///
    /// # Errors
    /// Names what is impossible.
    pub fn check(&self) -> Result<(), ShapeError> {
        match self {
            Self::Vit(vit) => vit.check(),
            Self::Swin(swin) => swin.check(),
        }
    }

    /// Names and shapes of all parameters, as timm has them; linear weights are `[out, in]`.
    pub fn parameter_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        match self {
            Self::Vit(vit) => vit.parameter_shapes(),
            Self::Swin(swin) => swin.parameter_shapes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_without_a_family_is_a_vits() {
        let vit = ModelConfig::from(VitConfig::deit_tiny());
        let swin = ModelConfig::from(SwinConfig::swin_tiny());
        for config in [&vit, &swin] {
            let json = serde_json::to_vec(config).expect("plain data");
            assert_eq!(ModelConfig::from_json(&json).expect("own text"), *config);
        }
        let json = serde_json::to_vec(&VitConfig::deit_tiny()).expect("plain data");
        assert_eq!(ModelConfig::from_json(&json).expect("a ViT's shape"), vit);
    }

    #[test]
    fn layers_have_one_name_and_one_shape_in_every_family() {
        let names = ModelConfig::presets();
        for config in names.map(|name| ModelConfig::preset(name).expect("a known name")) {
            let shapes = config.parameter_shapes();
            for layer in 0..config.depth() {
                for (name, weight) in config.layer(layer).affine_shapes() {
                    assert_eq!(shapes[&format!("{}.{name}.weight", config.block(layer))], weight);
                }
            }
            let head = vec![config.num_classes(), config.num_features()];
            assert_eq!(
                shapes.get(&format!("{}.weight", config.head())),
                (head[0] > 0).then_some(&head)
            );
        }
    }
}
