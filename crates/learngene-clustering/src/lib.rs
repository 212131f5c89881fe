//! From an ancestor and images to mean attention distances, clusters and a learngene.
//!
//! The density of a head is its mean attention distance, in pixels of the input. Heads of one
//! layer whose densities lie close together form a cluster, and one head stands for all of it.
//!
//! ```
//! use learngene_clustering::{ClusterParams, MeanAttentionDistances, cluster};
//!
//! // One layer of six heads.
//! let distances = MeanAttentionDistances::new(vec![vec![12.0, 15.5, 80.0, 78.0, 11.0, 40.0]]);
//! let params = ClusterParams::dbscan(10.0).check()?;
//! let clusters = cluster(&distances, &params)?;
//!
//! let layer = &clusters.layers[0];
//! assert_eq!(layer.sizes, [3, 2, 1]);
//! assert_eq!(layer.representatives, [0, 2, 5]);
//! # Ok::<(), learngene_clustering::ClusteringError>(())
//! ```

mod ancestor;
mod cluster;
mod condense;
mod distances;
mod error;
mod json;
mod manifest;
mod probe;
#[cfg(test)]
mod test_ancestor;
mod verify;

pub use ancestor::HeadPart;
pub use cluster::{
    Algorithm, CheckedClusterParams, ClusterParams, HeadClusters, KMeansLibrary, LayerClusters,
    NoisePolicy, Representative, cluster, default_eps,
};
pub use condense::{CondenseOptions, condense};
pub use distances::{Convention, MeanAttentionDistances, Preprocess};
pub use error::ClusteringError;
pub use probe::{DistanceAccumulator, HeadStatistics, ProbeStatistics, patch_distances, probe};
pub use verify::{HeadSource, InheritedHead, PartOrigin, Verification, verify};

/// Name and version written into the files this crate makes.
pub(crate) const PRODUCER: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
