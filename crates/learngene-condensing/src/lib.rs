#![doc = include_str!("../README.md")]

mod ancestor;
mod condense;
mod images;
mod probe;
mod refit;
mod sums;
mod tensor_sources;
#[cfg(test)]
mod test_ancestor;
mod tune;
mod verify;

pub use condense::{CondenseOptions, condense};
pub use probe::{ImageDistances, ProbeSettings, probe, probe_each_image};
pub use refit::{CheckedRefitParams, RefitParams, refit};
pub use tune::{
    Budget, CheckedTuneParams, ClusterStability, Stability, TuneCurve, TuneParams, TunePoint,
    TuneSetting, stability, tune,
};
pub use verify::{HeadSource, InheritedHead, PartOrigin, Verification, verify};

/// Name and version written into the files this crate makes.
const PRODUCER: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod toy_tests;
