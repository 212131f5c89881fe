use crate::Metrics;

/// Receives the events of a run as they happen.
pub trait Observer: Send + Sync {
    /// The run starts, or resumes after `done` of `total` optimiser steps.
    fn started(&self, done: usize, total: usize);
    /// That many steps are done.
    fn stepped(&self, done: usize);
    /// The model was evaluated.
    fn evaluated(&self, metrics: &Metrics);
}

/// Ignores every event.
impl Observer for () {
    fn started(&self, _: usize, _: usize) {}
    fn stepped(&self, _: usize) {}
    fn evaluated(&self, _: &Metrics) {}
}
