//! A checkpoint in words.

use learngene_checkpoints::{Checkpoint, Preprocessing};
use learngene_shape::Shape;
use learngene_tensors::Sha256;
use serde::Serialize;

use super::learngene::describe_shape;
use crate::text::{layer_list, thousands};

/// What a checkpoint is, for a program.
#[derive(Serialize)]
pub struct Inspected {
    parameters: u64,
    /// Multiply-accumulates of one image.
    macs: u64,
    shape: Shape,
    preprocessing: Option<Preprocessing>,
    label_names: Vec<String>,
    sha256: Sha256,
}

impl From<Checkpoint> for Inspected {
    fn from(checkpoint: Checkpoint) -> Self {
        Self {
            parameters: checkpoint.shape.count_parameters(),
            macs: checkpoint.shape.count_macs(),
            preprocessing: checkpoint.pretrained_cfg.preprocessing,
            label_names: checkpoint.pretrained_cfg.label_names,
            sha256: checkpoint.sha256,
            shape: checkpoint.shape,
        }
    }
}

pub fn describe(inspected: &Inspected) -> String {
    let Inspected { parameters, macs, shape, preprocessing, label_names, sha256 } = inspected;
    let hidden: Vec<usize> = shape.layers().iter().map(|layer| layer.ffn.hidden_dim).collect();
    let classes = match &label_names[..] {
        [] => String::new(),
        [first, .., last] => format!(", from {first} to {last}"),
        [only] => format!(", {only}"),
    };
    let pixels = match preprocessing {
        Some(Preprocessing { mean, std, .. }) => format!("mean {mean:?}, std {std:?}"),
        None => "not said: mean and std of ImageNet are taken".into(),
    };
    format!(
        "checkpoint   {}\nsha256       {sha256}\nparameters   {}\nmacs         {} an image\n\
         heads        {}\nhidden units {}\nclasses      {}{classes}\npixels       {pixels}",
        describe_shape(shape),
        thousands(*parameters),
        thousands(*macs),
        layer_list(&shape.num_heads()),
        layer_list(&hidden),
        shape.num_classes(),
    )
}
