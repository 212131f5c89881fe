//! What a caller may have changed of a checkpoint while it is read.

use super::{CheckpointError, Note, resample::resample_pos_embed};
use crate::{HostTensor, ModelConfig, StateDict, VitConfig};

/// Interpolates a ViT's positions to images of another side.
pub(super) fn resize_images(
    config: &mut VitConfig,
    parameters: &mut StateDict,
    image_size: usize,
) -> Result<Option<Note>, CheckpointError> {
    let (from, old_grid) = (config.image_size, config.grid_size());
    if image_size == from {
        return Ok(None);
    }
    config.image_size = image_size;
    config.check()?;
    let positions = parameters.remove("pos_embed").expect("shapes were checked by the caller");
    let positions = resample_pos_embed(&positions, old_grid, config.grid_size());
    parameters.insert("pos_embed", positions);
    Ok(Some(Note::PositionsResampled { from, to: image_size }))
}

/// Gives a model a classifier of zeros for another number of classes, or none.
pub(super) fn replace_classifier(
    config: &mut ModelConfig,
    parameters: &mut StateDict,
    num_classes: usize,
) -> Option<Note> {
    let from = config.num_classes();
    if num_classes == from {
        return None;
    }
    let (head, features) = (config.head(), config.num_features());
    *config = config.clone().with_num_classes(num_classes);
    for (leaf, shape) in [("weight", vec![num_classes, features]), ("bias", vec![num_classes])] {
        let name = format!("{head}.{leaf}");
        parameters.remove(&name);
        if num_classes > 0 {
            let values = vec![0.0; shape.iter().product()];
            parameters.insert(name, HostTensor::new(shape, values));
        }
    }
    Some(Note::ClassifierReplaced { from, to: num_classes })
}
