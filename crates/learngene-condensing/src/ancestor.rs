//! Whether a checkpoint is what a learngene or distances were made of.

use learngene_checkpoints::Checkpoint;
use learngene_format::Distances;
use learngene_shape::Shape;
use learngene_tensors::{Error, Result};

/// Checks that a checkpoint has all parameters of its shape.
pub(crate) fn check_parameters(ancestor: &Checkpoint) -> Result<()> {
    ancestor.parameters.check_against(&ancestor.shape.parameter_shapes())
}

/// Checks that a checkpoint has the shape of a learngene's ancestor, whatever its classifier.
pub(crate) fn check_shape(found: &Shape, expected: &Shape) -> Result<()> {
    if found.with_num_classes(0)? == expected.with_num_classes(0)? {
        return Ok(());
    }
    let text = |shape| serde_json::to_string(shape).expect("a shape is plain data");
    let expected = format!("that of the learngene's ancestor, {}", text(expected));
    Err(Error::invalid("shape of the checkpoint", text(found), expected))
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
