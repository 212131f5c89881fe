//! Tests of the whole way from a learngene to a model that runs.

mod comparison;
mod expansion;
mod faults;
mod support;
mod swin;
mod width;
