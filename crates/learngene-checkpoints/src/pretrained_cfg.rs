//! What a checkpoint says beside shape and weights.

use serde::Serialize;

use super::{CheckpointError, Preprocessing, told::Told};

/// Where timm keeps it in its configurations, and this crate in the header.
pub(super) const SECTION: Option<&str> = Some("pretrained_cfg");

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

/// The names of the classes in a header.
///
/// Those in files beside a checkpoint are left alone: published models call classes by words, where
/// datasets call them by the names of their folders.
pub(super) fn label_names(
    header: &Told,
    num_classes: usize,
) -> Result<Vec<String>, CheckpointError> {
    let is_valid = |names: &Vec<String>| names.len() == num_classes;
    let wanted = "a name for each class of the model";
    Ok(header.parsed(SECTION, "label_names", is_valid, wanted)?.unwrap_or_default())
}
