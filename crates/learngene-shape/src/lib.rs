#![doc = include_str!("../README.md")]

mod count;
mod families;
mod field;
mod head_layout;
mod heads;
mod layer;
mod limits;
mod parameter;
mod resample;
mod reshape;
mod shape;
mod swin;
mod vit;

pub use field::Field;
pub use head_layout::{Head, HeadLayout, Projection};
pub use heads::{average_heads, select_heads, select_units};
pub use layer::{FfnKind, FfnShape, ImageShape, LayerShape};
pub use limits::{
    MAX_CHANNELS, MAX_CLASSES, MAX_DEPTH, MAX_HEADS, MAX_IMAGE_SIZE, MAX_WIDTH, at_most,
};
pub use parameter::{Axis, Init, Parameter, Part, Place};
pub use resample::resample_positions;
pub use reshape::{LayerSizes, Reshape};
pub use shape::{Family, Preset, Shape};
pub use swin::Swin;
pub use vit::Vit;
