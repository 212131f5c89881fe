//! Mean attention distances of an ancestor's heads.

mod accumulator;
mod field;
mod geometry;
mod measure;

pub use accumulator::{DistanceAccumulator, HeadStatistics};
pub use geometry::patch_distances;
pub use measure::{ProbeStatistics, probe};
