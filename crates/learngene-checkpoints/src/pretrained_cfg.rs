//! What a checkpoint says beside shape and weights.

use std::path::Path;

use learngene_tensors::Result;
use serde::Serialize;

use crate::{
    Preprocessing,
    sidecar::{PRETRAINED_CFG, Sidecar},
};

/// What a model was trained on, in the words of timm's `pretrained_cfg`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PretrainedCfg {
    /// How images become its input, where that is known.
    #[serde(flatten)]
    pub preprocessing: Option<Preprocessing>,
    /// Names of its classes in the order of its logits; none where they are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label_names: Vec<String>,
}

impl PretrainedCfg {
    /// What a checkpoint's header and the files beside it say.
    ///
    /// Names of classes in files beside it are left alone: published models call classes by words,
    /// where datasets call them by the names of their folders.
    pub(crate) fn found(
        checkpoint: &Path,
        header: Option<&Sidecar>,
        num_classes: usize,
    ) -> Result<Self> {
        let preprocessing = Preprocessing::found(checkpoint, header)?;
        let is_valid = |names: &Vec<String>| names.len() == num_classes;
        let expected = "a name for each class of the model";
        let label_names =
            header.map(|header| header.parsed(PRETRAINED_CFG, "label_names", is_valid, expected));
        let label_names = label_names.transpose()?.flatten().unwrap_or_default();
        Ok(Self { preprocessing, label_names })
    }
}
