//! Published Swins by timm's names.

use super::Swin;
use crate::Preset;

pub(super) const PRESETS: &[Preset<Swin>] = &[
    ("swin_tiny_patch4_window7_224", Swin::swin_tiny),
    ("swin_small_patch4_window7_224", Swin::swin_small),
    ("swin_base_patch4_window7_224", Swin::swin_base),
];

impl Swin {
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
}
