//! Tests of the whole way from a learngene, or an ancestor, to a model that runs.

mod baselines;
mod digests;
mod elements;
mod expansion;
mod family;
mod forward;
mod laws;
mod refusals;
mod support;
mod width;
