//! Mean attention distances of an ancestor's heads.

mod accumulator;
mod attention_field;
mod measure;

pub(crate) use measure::observe;
pub use measure::{ProbeSettings, probe};
