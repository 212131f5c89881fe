//! With what a run is carried out, whatever it learns.

use burn::tensor::Device;
use learngene_datasets::Workers;

/// Devices and threads of a run, and what it notes of them.
#[derive(Clone, Debug)]
pub struct Execution<'a> {
    /// Where the model learns, at least one. The first has the parameters and the optimiser; where
    /// there are several, each computes the gradients of its share of every batch.
    pub devices: &'a [Device],
    /// Threads that load training images ahead of the devices.
    pub workers: Workers,
    /// Text of `environment.json` in the run's folder: versions and devices, as the program tells
    /// them. Another one does not make another run.
    pub environment: Option<String>,
}

impl<'a> Execution<'a> {
    /// On these devices, with a loading thread for each core.
    pub fn on(devices: &'a [Device]) -> Self {
        Self { devices, workers: Workers::default(), environment: None }
    }
}
