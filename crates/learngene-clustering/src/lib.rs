#![doc = include_str!("../README.md")]

mod cluster;
mod dbscan;
mod density_order;
mod ffn;
mod ffn_params;
mod kmeans;
#[cfg(feature = "kmeans")]
mod kmeans_crate;
mod params;
mod random_heads;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod test_distances;

pub use cluster::{cluster, dbscan_layer};
pub use density_order::density_order;
pub use ffn::cluster_ffns;
pub use ffn_params::{CheckedFfnParams, FfnParams, default_ffn_eps};
pub use params::{CheckedClusterParams, ClusterParams, default_eps};
pub use random_heads::with_random_heads;

/// Name and version of this crate, for files of clusters.
pub const PRODUCER: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
