//! Mean attention distances of an ancestor's heads.

mod accumulator;
mod attention_field;
mod image_distances;
mod measure;

pub use image_distances::ImageDistances;
pub use measure::{ProbeSettings, probe, probe_each_image};
