//! How work is timed, and against what its speed is held.

use std::{num::NonZeroUsize, time::Instant};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{
    name,
    preset::Preset,
    workload::{Task, Workload},
};
use crate::{device::DeviceChoice, memory, text};

/// A line of the result; a figure that there is none of is null.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// This program and its version.
    pub framework: String,
    /// `host` for work that no device takes part in.
    pub device: String,
    pub threads: usize,
    pub workload: String,
    pub shape: String,
    /// Images of one iteration.
    pub batch: usize,
    /// Milliseconds, median over the iterations.
    pub ms: f64,
    /// Milliseconds of the first iteration, which the median leaves out.
    pub first_ms: f64,
    pub images_per_second: Option<f64>,
    /// Of the matrix products alone, two for each multiply-accumulate.
    pub flops_per_second: Option<f64>,
    /// What a product of large square matrices reaches on this device.
    pub peak_flops_per_second: Option<f64>,
    pub bytes_per_second: Option<f64>,
    /// Most memory of the host that the process held at once while it did the work.
    pub peak_memory_bytes: Option<u64>,
    /// What the device keeps at the end, where it has memory of its own.
    pub device_memory_bytes: Option<u64>,
}

impl Timing {
    /// Times a workload in this process.
    pub fn of(
        workload: Workload,
        preset: Preset,
        iterations: NonZeroUsize,
        choice: DeviceChoice,
    ) -> anyhow::Result<Self> {
        let device = choice.open()?;
        let Task { images, flops, bytes, work } =
            workload.prepare(&preset.shape(), preset.batch(), &device)?;
        memory::reset_peak();
        let Times { first, median } = times(iterations, work)?;
        let per_second = |amount: f64| amount / median * 1e3;
        // Before the peak is measured, which needs memory of its own.
        let peak_memory_bytes = memory::peak();
        let device_memory_bytes = device.memory_pool_usage().map(|usage| usage.bytes_reserved);
        Ok(Self {
            framework: crate::PRODUCER.to_owned(),
            device: if workload.is_on_host() { "host".into() } else { choice.to_string() },
            threads: rayon::current_num_threads(),
            workload: name(workload),
            shape: name(preset),
            batch: images,
            ms: median,
            first_ms: first,
            images_per_second: (images > 0).then(|| per_second(images as f64)),
            flops_per_second: flops.map(per_second),
            peak_flops_per_second: flops.map(|_| peak_flops(&device)).transpose()?,
            bytes_per_second: bytes.map(|bytes| per_second(bytes as f64)),
            peak_memory_bytes,
            device_memory_bytes,
        })
    }

    pub fn text(&self) -> String {
        let Self { workload, shape, device, batch, ms, .. } = self;
        let mut text = format!("{workload:23} {shape:10} {device:10} {ms:9.1} ms");
        if let Some(images) = self.images_per_second {
            text += &format!("  {batch:3} images {images:8.1}/s");
        }
        if let (Some(found), Some(peak)) = (self.flops_per_second, self.peak_flops_per_second) {
            let (gigaflops, share) = (found / 1e9, 100.0 * found / peak);
            text += &format!("  {gigaflops:6.0} GFLOP/s ({share:.0} % of a large product's)");
        }
        if let Some(bytes) = self.bytes_per_second {
            text += &format!("  {:6.2} GB/s", bytes / 1e9);
        }
        if let Some(memory) = self.peak_memory_bytes {
            text += &format!("  peak {}", text::bytes(memory));
        }
        text
    }
}

/// Milliseconds.
pub struct Times {
    pub first: f64,
    pub median: f64,
}

/// Does some work once, and then so many times more.
pub fn times(
    iterations: NonZeroUsize,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Times> {
    let mut time = || {
        let started = Instant::now();
        work()?;
        Ok::<_, anyhow::Error>(started.elapsed().as_secs_f64() * 1e3)
    };
    let first = time()?;
    let mut times = (0..iterations.get()).map(|_| time()).collect::<anyhow::Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    let median = if times.len() % 2 == 1 {
        times[middle]
    } else {
        (times[middle - 1] + times[middle]) / 2.0
    };
    Ok(Times { first, median })
}

/// Floating-point operations a second of the fastest of some products of square matrices, as large
/// as take the device a few hundredths of a second.
fn peak_flops(device: &Device) -> anyhow::Result<f64> {
    /// Milliseconds.
    const LONG_ENOUGH: f64 = 20.0;
    const LARGEST: usize = 8192;
    let three = NonZeroUsize::MIN.saturating_add(2);
    let (mut size, mut peak) = (256, 0.0_f64);
    loop {
        let matrix = Tensor::<2>::ones([size, size], device);
        let median = times(three, || {
            let _product = matrix.clone().matmul(matrix.clone());
            Ok(device.sync()?)
        })?
        .median;
        peak = peak.max(2.0 * (size as f64).powi(3) / median * 1e3);
        if median > LONG_ENOUGH || size == LARGEST {
            return Ok(peak);
        }
        size *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_is_reported_apart() {
        let mut calls = 0;
        let iterations = NonZeroUsize::new(4).expect("four");
        let times = times(iterations, || {
            calls += 1;
            if calls == 1 {
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
            Ok(())
        });
        let Times { first, median } = times.expect("no work fails");
        assert!(first >= 200.0 && (0.0..200.0).contains(&median), "{first}, {median}");
        assert_eq!(calls, 5);
    }
}
