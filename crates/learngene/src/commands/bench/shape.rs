//! The models that are timed.

use clap::ValueEnum;
use learngene_models::{ModelConfig, SwinConfig, VitConfig};
use serde::Serialize;

/// A model of a size that people know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// 12 layers of embed_dim 96 on 32 px, 64 images.
    Nano,
    /// 12 layers of embed_dim 192 on 32 px, 64 images.
    Micro,
    /// DeiT-Ti/16, 4 images.
    DeitTiny,
    /// DeiT-S/16, 4 images.
    DeitSmall,
    /// DeiT-B/16, 4 images.
    DeitBase,
    /// Swin-T, 4 images.
    SwinTiny,
}

impl Shape {
    pub fn config(self) -> ModelConfig {
        match self {
            Self::Nano => small(96, 6),
            Self::Micro => small(192, 3),
            Self::DeitTiny => VitConfig::deit_tiny().into(),
            Self::DeitSmall => VitConfig::deit_small().into(),
            Self::DeitBase => VitConfig::deit_base().into(),
            Self::SwinTiny => SwinConfig::swin_tiny().into(),
        }
    }

    /// Images of a batch.
    pub fn batch(self) -> usize {
        match self {
            Self::Nano | Self::Micro => 64,
            Self::DeitTiny | Self::DeitSmall | Self::DeitBase | Self::SwinTiny => 4,
        }
    }
}

/// 12 layers for images of 32 px in patches of 4 px.
pub fn small(embed_dim: usize, num_heads: usize) -> ModelConfig {
    let config = VitConfig::uniform(embed_dim, 12, num_heads);
    config.with_image_size(32).with_patch_size(4).with_num_classes(10).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes of benches/pytorch_baseline.py.
    #[test]
    fn shapes_are_those_of_the_baseline() {
        let sizes = |shape: Shape| {
            let config = shape.config();
            let sizes = (config.image_size(), config.patch_size(), config.embed_dim());
            (sizes, config.depth(), config.num_heads()[0], shape.batch(), config.num_classes())
        };
        assert_eq!(sizes(Shape::Nano), ((32, 4, 96), 12, 6, 64, 10));
        assert_eq!(sizes(Shape::Micro), ((32, 4, 192), 12, 3, 64, 10));
        assert_eq!(sizes(Shape::DeitSmall), ((224, 16, 384), 12, 6, 4, 1000));
        let swin = Shape::SwinTiny;
        assert_eq!(sizes(swin), ((224, 4, 96), 12, 3, 4, 1000));
        assert_eq!(swin.config().stages(), [0..2, 2..4, 4..10, 10..12]);
    }
}
