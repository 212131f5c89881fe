//! Published ViTs by timm's names.

use super::Vit;
use crate::Preset;

pub(super) const PRESETS: &[Preset<Vit>] = &[
    ("deit_tiny_patch16_224", Vit::deit_tiny),
    ("deit_small_patch16_224", Vit::deit_small),
    ("deit_base_patch16_224", Vit::deit_base),
    // The smaller ViTs are DeiT's, <https://arxiv.org/abs/2106.10270>, Table 1.
    ("vit_tiny_patch16_224", Vit::deit_tiny),
    ("vit_small_patch16_224", Vit::deit_small),
    ("vit_base_patch16_224", Vit::deit_base),
    ("vit_large_patch16_224", Vit::vit_large),
    ("vit_small_patch14_224", Vit::vit_small_patch14),
    ("vit_small_patch14_dinov2", || Vit { image_size: 518, ..Vit::vit_small_patch14() }),
    ("vit_base_patch14_dinov2", || Vit { image_size: 518, ..Vit::vit_base_patch14() }),
];

impl Vit {
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
        Self { patch_size: 14, num_classes: 0, ..Self::uniform(384, 12, 6) }
    }

    /// ViT-B/14 as in DINOv2, <https://arxiv.org/abs/2304.07193>, Table 17; no classifier.
    pub fn vit_base_patch14() -> Self {
        Self { patch_size: 14, num_classes: 0, ..Self::uniform(768, 12, 12) }
    }
}
