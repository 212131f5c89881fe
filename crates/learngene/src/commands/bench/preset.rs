//! The models that are timed.

use clap::ValueEnum;
use learngene_shape::{Family, Shape, Vit};
use serde::Serialize;

/// A model of a size that people know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Preset {
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

impl Preset {
    pub fn shape(self) -> Shape {
        let preset = |name| Shape::preset(name).expect("a test looks up all of them");
        match self {
            Self::Nano => small(96, 6),
            Self::Micro => small(192, 3),
            Self::DeitTiny => preset("deit_tiny_patch16_224"),
            Self::DeitSmall => preset("deit_small_patch16_224"),
            Self::DeitBase => preset("deit_base_patch16_224"),
            Self::SwinTiny => preset("swin_tiny_patch4_window7_224"),
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

/// A ViT of 12 layers for images of 32 px in patches of 4 px.
pub fn small(embed_dim: usize, num_heads: usize) -> Shape {
    let vit = Vit::uniform(embed_dim, 12, num_heads);
    let vit = Vit { image_size: 32, patch_size: 4, num_classes: 10, ..vit };
    vit.shape().expect("a test makes the smallest and the largest")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes of benches/pytorch_baseline.py.
    #[test]
    fn shapes_are_those_of_the_baseline() {
        let sizes = |preset: Preset| {
            let (shape, batch) = (preset.shape(), preset.batch());
            let image = shape.image();
            let sizes = (image.size, image.patch_size, shape.embed_dim());
            (sizes, shape.depth(), shape.num_heads()[0], batch, shape.num_classes())
        };
        assert_eq!(sizes(Preset::Nano), ((32, 4, 96), 12, 6, 64, 10));
        assert_eq!(sizes(Preset::Micro), ((32, 4, 192), 12, 3, 64, 10));
        assert_eq!(sizes(Preset::DeitTiny), ((224, 16, 192), 12, 3, 4, 1000));
        assert_eq!(sizes(Preset::DeitSmall), ((224, 16, 384), 12, 6, 4, 1000));
        assert_eq!(sizes(Preset::DeitBase), ((224, 16, 768), 12, 12, 4, 1000));
        assert_eq!(sizes(Preset::SwinTiny), ((224, 4, 96), 12, 3, 4, 1000));
    }
}
