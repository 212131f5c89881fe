//! Mean attention distances of an ancestor's heads, and what its layers change.

mod accumulator;
mod change;
mod contrast;
mod field;
mod geometry;
mod image_distances;
mod measure;

pub(crate) use contrast::Contrast;

pub use accumulator::HeadStatistics;
pub use change::{RepresentationChange, representation_change};
pub use image_distances::ImageDistances;
pub use measure::{ProbeStatistics, probe, probe_each_image};
