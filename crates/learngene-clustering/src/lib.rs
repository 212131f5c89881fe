#![doc = include_str!("../README.md")]

mod ancestor;
mod cluster;
mod condense;
mod content;
mod distances;
mod error;
mod json;
mod manifest;
mod probe;
mod refit;
mod shown;
#[cfg(test)]
mod test_ancestor;
mod tune;
mod verify;

pub use cluster::{
    Algorithm, CheckedClusterParams, CheckedFfnParams, ClusterParams, FfnAlgorithm, FfnClusters,
    FfnGroup, FfnGroupError, FfnNorm, FfnParams, HeadClusters, KMeansLibrary, LayerClusters,
    NoisePolicy, Representative, cluster, cluster_ffns, default_eps, default_ffn_eps,
};
pub use condense::{CondenseOptions, condense};
pub use content::HeadPart;
pub use distances::{Convention, MeanAttentionDistances, Preprocess};
pub use error::ClusteringError;
pub use probe::{
    HeadStatistics, ImageDistances, ProbeStatistics, RepresentationChange, probe, probe_each_image,
    representation_change,
};
pub use refit::{CheckedRefitParams, RefitParams, refit};
pub use tune::{
    Budget, CheckedTuneParams, ClusterStability, Stability, TuneCurve, TuneError, TuneParams,
    TunePoint, TuneSetting, stability, tune,
};
pub use verify::{HeadSource, InheritedHead, PartOrigin, Verification, verify};

/// Name and version written into the files this crate makes.
pub(crate) const PRODUCER: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
