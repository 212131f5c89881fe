//! Mean attention distances of an ancestor's heads.

mod accumulator;
mod geometry;

pub use accumulator::{DistanceAccumulator, HeadStatistics};
pub use geometry::patch_distances;
