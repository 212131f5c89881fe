use burn::tensor::Device;
use learngene_datasets::Workers;

/// What a run is executed with: devices and threads.
#[derive(Clone, Debug)]
pub struct Execution<'a> {
    /// At least one device. The first holds the parameters and the optimiser; if there are several,
    /// each computes the gradients of its part of every batch.
    pub devices: &'a [Device],
    /// Threads that load training images ahead of the devices.
    pub workers: Workers,
    /// Text of `environment.json` in the run's folder: versions and devices, for people to read. A run
    /// may be resumed in another environment.
    pub environment: Option<String>,
}

impl<'a> Execution<'a> {
    /// Runs on these devices, with one loading thread for each core.
    pub fn on(devices: &'a [Device]) -> Self {
        Self { devices, workers: Workers::default(), environment: None }
    }
}
