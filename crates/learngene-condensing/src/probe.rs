//! Mean attention distances of an ancestor's heads.

mod accumulator;
mod attention_field;
mod measure;

pub use measure::{ProbeSettings, probe};
