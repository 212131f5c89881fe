#![doc = include_str!("../README.md")]

mod ancestor;
mod condense;
mod depth;
mod fit;
mod fit_options;
mod half;
mod images;
mod measure;
mod probe;
mod prune;
mod refit;
mod rounding;
mod select;
mod sensitivity;
mod size;
mod sums;
mod tensor_sources;
#[cfg(test)]
mod test_ancestor;
mod tokens;
mod verify;

pub use ancestor::RunningAncestor;
pub use condense::{CondenseOptions, condense};
pub use fit_options::FitOptions;
pub use images::Images;
pub use measure::{Worth, measure};
pub use probe::{ProbeSettings, probe};
pub use prune::{Criterion, PruneOptions, Pruned, prune};
pub use refit::refit;
pub use select::condense_to;
pub use verify::{HeadSource, InheritedHead, PartOrigin, Verification, verify};

/// Name and version written into the files this crate makes.
const PRODUCER: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod toy_tests;
