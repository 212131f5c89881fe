//! The initialisations of a descendant.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// An initialisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Priority weight-sharing from the learngene.
    ClusterLearngene,
    /// Freshly drawn weights.
    FromScratch,
    /// The ancestor's front layers and heads.
    PretrainingFinetuning,
    /// The ancestor's last layers, the others drawn (Wang et al., 2022).
    HeuristicLearngene,
    /// The ancestor's first layers, the others drawn (Wang et al., 2023).
    AutoLearngene,
    /// The ancestor's front layers, weights shared two by two (MiniViT, Zhang et al., 2022).
    WeightTransformation,
    /// Elements of the ancestor's front layers, picked evenly (Xu et al., 2024).
    WeightSelection,
}

impl Method {
    /// Its name on the command line, and in files.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it takes the whole ancestor.
    pub fn takes_ancestor(self) -> bool {
        !matches!(self, Self::ClusterLearngene | Self::FromScratch)
    }

    /// Whether it chooses itself which layers are inherited.
    pub fn chooses_layers(self) -> bool {
        matches!(self, Self::HeuristicLearngene | Self::AutoLearngene)
    }
}
