//! An ancestor that runs, and whether a checkpoint is what a learngene or distances were made of.

use burn::tensor::Device;
use learngene_checkpoints::Checkpoint;
use learngene_format::Distances;
use learngene_models::Model;
use learngene_shape::Shape;
use learngene_tensors::{Error, Result};

/// An ancestor on a device.
pub struct RunningAncestor {
    /// The whole model.
    pub model: Model,
    /// Its checkpoint; parameters of layers are read from the model and need not be here.
    pub checkpoint: Checkpoint,
}

impl RunningAncestor {
    /// Brings a checkpoint to a device.
    ///
    /// # Errors
    /// Lists every parameter that is missing, unused or of another shape.
    pub fn load(mut checkpoint: Checkpoint, device: &Device) -> Result<Self> {
        check_parameters(&checkpoint)?;
        let outside =
            checkpoint.shape.parameters().into_iter().filter(|p| p.place.layer().is_none());
        let outside = outside.filter_map(|parameter| {
            let tensor = checkpoint.parameters.get(&parameter.name)?.clone();
            Some((parameter.name, tensor))
        });
        let outside = outside.collect();
        let all = std::mem::replace(&mut checkpoint.parameters, outside);
        let model = Model::from_parameters(&checkpoint.shape, all, device)?;
        Ok(Self { model, checkpoint })
    }
}

/// Checks that a checkpoint has all parameters of its shape.
pub(crate) fn check_parameters(ancestor: &Checkpoint) -> Result<()> {
    ancestor.parameters.check_against(&ancestor.shape.parameter_shapes())
}

/// Checks that a checkpoint has the shape of a learngene's ancestor, whatever its classifier.
pub(crate) fn check_shape(found: &Shape, expected: &Shape) -> Result<()> {
    let difference = found.with_num_classes(0)?.first_difference(&expected.with_num_classes(0)?);
    let Some((field, found, expected)) = difference else { return Ok(()) };
    let expected = format!("{expected}, as in the learngene's ancestor");
    Err(Error::invalid(format!("{field} of the checkpoint"), found, expected))
}

/// Checks that distances are sound, and were measured on this checkpoint.
pub(crate) fn check_distances(ancestor: &Checkpoint, distances: &Distances) -> Result<()> {
    distances.check()?;
    if distances.ancestor_sha256 != ancestor.sha256 {
        let found = distances.ancestor_sha256;
        return Err(Error::invalid("ancestor of the distances", found, ancestor.sha256));
    }
    let (found, expected) = (distances.num_heads(), ancestor.shape.num_heads());
    if found != expected {
        let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
        return Err(Error::invalid("heads of the distances", found, expected));
    }
    Ok(())
}
