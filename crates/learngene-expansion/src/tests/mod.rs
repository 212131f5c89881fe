//! Tests of the whole way from a learngene to a model that runs.

mod comparison;
mod elements;
mod expansion;
mod faults;
mod layers;
mod support;
mod swin;
mod width;
