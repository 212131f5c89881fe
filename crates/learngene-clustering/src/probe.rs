//! Mean attention distances of an ancestor's heads.

mod accumulator;
mod contrast;
mod field;
mod geometry;
mod measure;

pub(crate) use contrast::Contrast;

pub use accumulator::{DistanceAccumulator, HeadStatistics};
pub use geometry::patch_distances;
pub use measure::{ProbeStatistics, probe};
