//! Kinds of models.

use crate::ModelConfig;

/// A kind of model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Vit,
    Swin,
}

impl Family {
    pub fn of(config: &ModelConfig) -> Self {
        match config {
            ModelConfig::Vit(_) => Self::Vit,
            ModelConfig::Swin(_) => Self::Swin,
        }
    }

    /// As configurations spell it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Vit => "vit",
            Self::Swin => "swin",
        }
    }

    /// As its papers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vit => "ViT",
            Self::Swin => "Swin",
        }
    }
}
