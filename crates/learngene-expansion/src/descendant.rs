use learngene_models::{ModelConfig, StateDict};
use serde::{Deserialize, Serialize};

use crate::TransformationPlan;

/// An initialised model and where its parts came from.
///
/// Its parameters are copies: whatever becomes of them, the source they were taken from stays as
/// it is.
#[derive(Clone, Debug)]
pub struct Descendant {
    /// Shape of the model.
    pub config: ModelConfig,
    /// Its parameters, in timm's names and layouts.
    pub parameters: StateDict,
    /// Scalars of the source that were used (I-Params), each counted once however many copies the
    /// descendant holds of it; interpolated positions count as many as were read, a fresh
    /// classifier and drawn layers none. Embeddings, the final norm and a Swin's merging of patches
    /// count like any other.
    pub inherited_parameters: u64,
    /// `layers[l]`: the ancestor's layer that layer `l` inherits, none where it is drawn.
    pub layers: Vec<Option<usize>>,
    /// `slots[l][s]`: what fills head `s` of layer `l`; empty for a layer whose heads are none of
    /// the ancestor's, as they are drawn, or picked from several.
    pub slots: Vec<Vec<SlotSource>>,
    /// `ffn[l]`: which feed-forward network of the source layer `l` has; layers of the same number
    /// start with the same one. A drawn layer has a number of its own.
    pub ffn: Vec<usize>,
}

impl Descendant {
    /// What the descendant holds several times, and transformations make different.
    pub fn plan(&self) -> TransformationPlan {
        TransformationPlan::new(self.ffn.clone(), &self.slots)
    }
}

/// What fills one head of a descendant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotSource {
    /// The ancestor's layer.
    pub layer: usize,
    /// The ancestor's head that query, key and value come from; where a learngene averages
    /// clusters, the member nearest the mean, which only names its cluster.
    pub head: usize,
    /// The ancestor's head that the output-projection columns come from, understood likewise.
    pub projection_head: usize,
    /// What the columns were multiplied by.
    pub projection_scale: f32,
}
