//! Which devices this machine has, and what the backends without one need.

use burn::tensor::{DType, Device};
use serde::Serialize;
use sysinfo::System;

use super::{BACKENDS, Backend, DeviceChoice, quietly};

/// What is known of a device of this machine.
#[derive(Serialize)]
pub struct FoundDevice {
    /// As the command line names it.
    pub device: String,
    /// What it is, in words.
    pub description: String,
    /// Bytes that it may hold, if its driver says.
    pub memory: Option<u64>,
    /// Number formats that it computes with.
    pub dtypes: Vec<&'static str>,
}

/// A backend that is not in this program, or has no device on this machine.
#[derive(Serialize)]
pub struct MissingBackend {
    /// Its feature.
    pub backend: &'static str,
    /// Whether this program was built with it.
    pub built: bool,
    /// What it asks of a machine.
    pub needs: &'static str,
}

/// Every device that this program can use on this machine.
pub fn found() -> Vec<FoundDevice> {
    let mut found = Vec::new();
    for &backend in Backend::ALL {
        for (index, device) in backend.devices().into_iter().enumerate() {
            let choice = DeviceChoice::Local { backend, index };
            // A device that cannot be opened cannot be used.
            if let Ok(described) = quietly(|| describe(&choice, &device)) {
                found.push(described);
            }
        }
    }
    found
}

/// Backends that are not in this program, or that [`found`] lists no device of.
pub fn missing(found: &[FoundDevice]) -> Vec<MissingBackend> {
    let is_found =
        |name: &str| found.iter().any(|found| found.device.split(':').next() == Some(name));
    BACKENDS
        .iter()
        .filter(|(name, ..)| !is_found(name))
        .map(|&(backend, built, needs)| MissingBackend { backend, built, needs })
        .collect()
}

/// Bytes that a device of this machine may hold, if its driver says.
pub fn memory(choice: &DeviceChoice, device: &Device) -> Option<u64> {
    if choice.is_cpu() { Some(cpu_memory()) } else { gpu_memory(device) }
}

/// Bytes of this machine, or of the container that the program runs in.
fn cpu_memory() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    system.total_memory().min(limit)
}

/// Asks a device who it is; opens it.
fn describe(choice: &DeviceChoice, device: &Device) -> FoundDevice {
    let description = if choice.is_cpu() {
        let operations = if choice.is_plain() { "without" } else { "with" };
        format!("CPU, all cores (burn flex, {operations} fused operations)")
    } else {
        gpu_name(device).unwrap_or_else(|| "a GPU whose driver has no name for it".into())
    };
    let dtypes = [(DType::F32, "f32"), (DType::F16, "f16"), (DType::BF16, "bf16")];
    let dtypes = dtypes.into_iter().filter(|(dtype, _)| device.supports_dtype(*dtype));
    FoundDevice {
        device: choice.to_string(),
        description,
        memory: memory(choice, device),
        dtypes: dtypes.map(|(_, name)| name).collect(),
    }
}

#[cfg(feature = "gpu")]
fn gpu_name(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

#[cfg(not(feature = "gpu"))]
fn gpu_name(_: &Device) -> Option<String> {
    None
}

#[cfg(feature = "gpu")]
fn gpu_memory(device: &Device) -> Option<u64> {
    use burn::backend::DispatchDevice;

    match device.as_dispatch() {
        DispatchDevice::Cube(device) => device.client().properties().memory.max_memory(),
        #[allow(unreachable_patterns)] // Where the program has no other backend.
        _ => None,
    }
}

#[cfg(not(feature = "gpu"))]
fn gpu_memory(_: &Device) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_without_a_device_are_listed() {
        let missing = missing(&found());
        assert!(missing.iter().all(|missing| missing.backend != "flex"));
        assert_eq!(
            missing.iter().any(|m| m.backend == "cuda" && !m.built),
            !cfg!(feature = "cuda")
        );
    }

    /// The CPU's device stands for one of a GPU that says nothing of itself.
    #[cfg(all(feature = "flex", feature = "wgpu"))]
    #[test]
    fn a_gpu_without_a_name_is_not_the_cpu() {
        let choice = "wgpu:0".parse().expect("a known name");
        let FoundDevice { device, description, memory, .. } = describe(&choice, &Device::flex());
        assert_eq!((device.as_str(), memory), ("wgpu:0", None));
        assert_eq!(description, "a GPU whose driver has no name for it");
    }
}
