//! The model that a learngene's centroid heads are, as deep as its ancestor.

use burn::tensor::Device;
use learngene_format::Learngene;
use learngene_models::Model;
use learngene_shape::{Part, Place};
use learngene_tensors::{Result, StateDict};

use crate::tensor_sources::Roles;

/// The centroid model of a learngene: of each layer the centroid heads, and FFNs as groups share
/// them. It has no classifier.
///
/// # Errors
/// Tensors that do not fit, which those of a learngene do.
pub(crate) fn centroid_model(learngene: &Learngene, device: &Device) -> Result<Model> {
    let manifest = learngene.manifest();
    let shape = manifest.centroid_shape().with_num_classes(0)?;
    let roles = Roles::of(&shape);
    let stored = |parameter: learngene_shape::Parameter| {
        let name = match parameter.place {
            Place::Layer { layer, part: Part::Ffn } => {
                roles.in_layer(&parameter, manifest.ffn_layer(layer))
            }
            _ => &parameter.name,
        };
        let tensor = learngene.tensors().get(name).expect("a learngene has its layers' tensors");
        (parameter.name.clone(), tensor.clone())
    };
    let parameters: StateDict = shape.parameters().into_iter().map(stored).collect();
    Model::load(&shape, &parameters, device)
}
