use learngene_shape::Shape;
use learngene_tensors::StateDict;

use crate::{SlotSource, TransformationPlan};

/// An initialised model and where its parts came from.
///
/// Its parameters are copies: whatever becomes of them, the source they were taken from stays as
/// it is.
#[derive(Clone, Debug)]
pub struct Descendant {
    /// Shape of the model.
    pub shape: Shape,
    /// Its parameters, in timm's names and layouts.
    pub parameters: StateDict,
    /// Scalars of the source that were used (I-Params), each counted once however many copies the
    /// descendant holds of it; interpolated positions count as many as were read, a fresh
    /// classifier and drawn layers none. What a model has once (embeddings, the final norm, the
    /// merging of tokens between stages) counts like any other.
    pub inherited_parameters: u64,
    /// `layers[l]`: the ancestor's layer that layer `l` inherits, none where it is drawn.
    pub layers: Vec<Option<usize>>,
    /// `slots[l][s]`: what fills head `s` of layer `l`; empty for a layer whose heads are none of
    /// the ancestor's, as they are drawn, or picked from several.
    pub slots: Vec<Vec<SlotSource>>,
    /// `ffn[l]`: the ancestor's layer whose FFN layer `l` has; layers of the same number start with
    /// the same one. A drawn layer has a number of its own, from the ancestor's depth on.
    pub ffn: Vec<usize>,
}

impl Descendant {
    /// What the descendant holds several times, and transformations make different.
    pub fn plan(&self) -> TransformationPlan {
        TransformationPlan::new(self.ffn.clone(), &self.slots)
    }
}
