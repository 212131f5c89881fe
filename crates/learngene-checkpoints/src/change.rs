//! What a caller may have changed of a checkpoint while it is read.

use learngene_shape::{Axis, Parameter, Shape, resample_positions};
use learngene_tensors::{Result, StateDict, Tensor};

/// Makes a model take images of another side: positions on the grid of patches are interpolated.
/// Returns a note where it did not take such already.
///
/// # Errors
/// A side that the model cannot take.
pub(crate) fn resize_images(
    shape: &mut Shape,
    parameters: &mut StateDict,
    image_size: usize,
) -> Result<Option<String>> {
    let from = shape.image().size;
    if image_size == from {
        return Ok(None);
    }
    let new = shape.with_image_size(image_size)?;
    for (old, new) in shape.parameters().iter().zip(new.parameters()) {
        let (Some((prefix, old_side)), Some((_, new_side))) = (grid(old), grid(&new)) else {
            continue;
        };
        if let Some(positions) = parameters.remove(&old.name) {
            let positions = resample_positions(&positions, prefix, old_side, new_side);
            parameters.insert(new.name, positions);
        }
    }
    *shape = new;
    Ok(Some(format!("interpolated positions from images of {from} px to {image_size} px")))
}

/// Tokens before the grid that a parameter's positions lie on, and the side of the grid.
fn grid(parameter: &Parameter) -> Option<(usize, usize)> {
    parameter.axes.iter().find_map(|axis| match *axis {
        Axis::Grid { prefix, side } => Some((prefix, side)),
        _ => None,
    })
}

/// Gives a model a classifier of zeros for another number of classes, or none. Returns a note where
/// it had another.
///
/// # Errors
/// More classes than a model may have.
pub(crate) fn replace_classifier(
    shape: &mut Shape,
    parameters: &mut StateDict,
    num_classes: usize,
) -> Result<Option<String>> {
    let from = shape.num_classes();
    if num_classes == from {
        return Ok(None);
    }
    let new = shape.with_num_classes(num_classes)?;
    for parameter in shape.classifier_parameters() {
        parameters.remove(&parameter.name);
    }
    for parameter in new.classifier_parameters() {
        let zeros = Tensor::zeros(parameter.shape());
        parameters.insert(parameter.name, zeros);
    }
    *shape = new;
    Ok(Some(match num_classes {
        0 => format!("dropped the classifier of {from} classes"),
        to => format!("replaced the classifier of {from} classes by a fresh one of {to}"),
    }))
}
