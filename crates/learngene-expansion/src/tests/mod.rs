//! Tests of the whole way from a learngene to a model that runs.

mod behaviour;
mod comparison;
mod elements;
mod expansion;
mod layers;
mod support;
mod swin;
mod width;
