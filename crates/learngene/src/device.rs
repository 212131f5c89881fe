//! The only place that names backends.

mod found;

use std::{fmt, panic, str::FromStr};

use burn::tensor::Device;
use learngene_kernels::set_fused;
use serde::{Serialize, Serializer};
use thiserror::Error;

pub use found::{FoundDevice, MissingBackend, found, missing};

#[cfg(not(any(feature = "flex", feature = "gpu")))]
compile_error!("turn on at least one backend: flex, cuda, metal, rocm, vulkan or wgpu");

/// A device as the command line names it: a backend and, of a GPU's, which of its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceChoice {
    backend: Backend,
    index: usize,
}

/// A backend of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    /// burn's portable CPU backend, with our fused operations.
    #[cfg(feature = "flex")]
    Flex,
    /// The same without them: what they are compared with.
    #[cfg(feature = "flex")]
    FlexPlain,
    #[cfg(feature = "cuda")]
    Cuda,
    #[cfg(feature = "metal")]
    Metal,
    #[cfg(feature = "rocm")]
    Rocm,
    #[cfg(feature = "vulkan")]
    Vulkan,
    #[cfg(feature = "wgpu")]
    Wgpu,
}

/// Every backend that a program may be built with, its feature, and what it asks of the machine.
const BACKENDS: [(&str, bool, &str); 6] = [
    ("flex", cfg!(feature = "flex"), "nothing: it runs on every CPU"),
    ("cuda", cfg!(feature = "cuda"), "an NVIDIA GPU and its driver (libcuda)"),
    ("metal", cfg!(feature = "metal"), "macOS on a Mac with a GPU"),
    ("rocm", cfg!(feature = "rocm"), "an AMD GPU with ROCm installed (libamdhip64)"),
    (
        "vulkan",
        cfg!(feature = "vulkan"),
        "a GPU with a Vulkan driver and its loader (Debian: libvulkan1)",
    ),
    (
        "wgpu",
        cfg!(feature = "wgpu"),
        "a GPU driver for Vulkan, Metal or DirectX 12 (in software, Debian: mesa-vulkan-drivers)",
    ),
];

/// A device that this program or this machine does not have.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// A name that no device of this program has.
    #[error("unknown device `{name}`; this program was built with: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The backends of this program.
        known: String,
    },
    /// A backend that exists but is not part of this program.
    #[error(
        "device `{name}` is not in this program, which was built with: {known}; \
         `cargo install --path crates/learngene --features {feature}` builds one with it"
    )]
    NotBuilt {
        /// What was asked for.
        name: String,
        /// Its feature.
        feature: &'static str,
        /// The backends of this program.
        known: String,
    },
    /// What follows the name is no number.
    #[error("device `{name}` wants a number after the colon, as in `{backend}:0`")]
    Index {
        /// What was asked for.
        name: String,
        /// The backend.
        backend: String,
    },
    /// A number after the name of what there is one of.
    #[error("device `{name}` takes no number: it is `{backend}`")]
    Single {
        /// What was asked for.
        name: String,
        /// The backend.
        backend: String,
    },
    /// The machine has no such device.
    #[error("no device {device}: this machine has {found} of {backend}, which needs {needs}")]
    Absent {
        /// What was asked for.
        device: String,
        /// Devices of the backend on this machine.
        found: usize,
        /// The backend.
        backend: &'static str,
        /// What the backend asks of a machine.
        needs: &'static str,
    },
    /// The driver refused.
    #[error("device {device} cannot be opened: {reason}")]
    Refused {
        /// What was asked for.
        device: String,
        /// What the driver said.
        reason: String,
    },
}

impl Backend {
    const ALL: &[Self] = &[
        #[cfg(feature = "flex")]
        Self::Flex,
        #[cfg(feature = "flex")]
        Self::FlexPlain,
        #[cfg(feature = "cuda")]
        Self::Cuda,
        #[cfg(feature = "metal")]
        Self::Metal,
        #[cfg(feature = "rocm")]
        Self::Rocm,
        #[cfg(feature = "vulkan")]
        Self::Vulkan,
        #[cfg(feature = "wgpu")]
        Self::Wgpu,
    ];

    fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => "flex",
            #[cfg(feature = "flex")]
            Self::FlexPlain => "flex-plain",
            #[cfg(feature = "cuda")]
            Self::Cuda => "cuda",
            #[cfg(feature = "metal")]
            Self::Metal => "metal",
            #[cfg(feature = "rocm")]
            Self::Rocm => "rocm",
            #[cfg(feature = "vulkan")]
            Self::Vulkan => "vulkan",
            #[cfg(feature = "wgpu")]
            Self::Wgpu => "wgpu",
        }
    }

    fn needs(self) -> &'static str {
        let known = BACKENDS.iter().find(|(name, ..)| *name == self.name());
        known.map_or("nothing", |(.., needs)| needs)
    }

    /// Its devices on this machine, in an order that lasts as long as the machine does.
    fn devices(self) -> Vec<Device> {
        #[cfg(feature = "gpu")]
        let list = |kind| Device::enumerate(kind).into_iter().collect();
        #[cfg(feature = "gpu")]
        use burn::tensor::DeviceType;
        match self {
            #[cfg(feature = "flex")]
            Self::Flex | Self::FlexPlain => vec![Device::flex()],
            #[cfg(feature = "cuda")]
            Self::Cuda => list(DeviceType::Cuda),
            #[cfg(feature = "metal")]
            Self::Metal => list(DeviceType::Metal),
            #[cfg(feature = "rocm")]
            Self::Rocm => list(DeviceType::Rocm),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => list(DeviceType::Vulkan),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => list(DeviceType::Wgpu),
        }
    }

    /// Whether it has one device, which needs no number.
    fn is_single(self) -> bool {
        self.name().starts_with("flex")
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// The fused operations are turned on or off for the whole program, as the choice wants them:
    /// work on one device ends before another is opened.
    pub fn open(self) -> Result<Device, DeviceError> {
        let devices = self.backend.devices();
        let device = devices.get(self.index).cloned().ok_or_else(|| DeviceError::Absent {
            device: self.to_string(),
            found: devices.len(),
            backend: self.backend.name(),
            needs: self.backend.needs(),
        })?;
        // Drivers of GPUs are first asked here, and burn panics where they refuse.
        let asked = quietly(|| device.sync().map_err(|error| error.to_string()));
        asked
            .flatten()
            .map_err(|reason| DeviceError::Refused { device: self.to_string(), reason })?;
        #[cfg(feature = "flex")]
        set_fused(self.backend != Backend::FlexPlain);
        #[cfg(not(feature = "flex"))]
        set_fused(false);
        Ok(device)
    }
}

/// Does what may panic inside a driver's library, without its message on standard error; gives
/// that message back.
fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(panic::AssertUnwindSafe(work));
    panic::set_hook(hook);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "its driver gave no reason".to_owned())
    })
}

impl Default for DeviceChoice {
    /// The first of the program's backends: the CPU where it is built in.
    fn default() -> Self {
        Self { backend: Backend::ALL[0], index: 0 }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.backend.is_single() {
            true => write!(f, "{}", self.backend),
            false => write!(f, "{}:{}", self.backend, self.index),
        }
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    /// `flex`, `cuda:1`, or `cuda` for its first device.
    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let (backend, index) = match name.split_once(':') {
            Some((backend, index)) => (backend, Some(index)),
            None => (name, None),
        };
        let known = || Backend::ALL.iter().map(|b| b.name()).collect::<Vec<_>>().join(", ");
        let Some(&found) = Backend::ALL.iter().find(|found| found.name() == backend) else {
            let feature = backend.strip_suffix("-plain").unwrap_or(backend);
            return Err(match BACKENDS.iter().find(|(other, ..)| *other == feature) {
                Some(&(feature, ..)) => {
                    DeviceError::NotBuilt { name: name.to_owned(), feature, known: known() }
                }
                None => DeviceError::Unknown { name: name.to_owned(), known: known() },
            });
        };
        let index = match index {
            None => 0,
            Some(index) if !found.is_single() => index.parse().map_err(|_| DeviceError::Index {
                name: name.to_owned(),
                backend: backend.to_owned(),
            })?,
            Some(_) => {
                let (name, backend) = (name.to_owned(), backend.to_owned());
                return Err(DeviceError::Single { name, backend });
            }
        };
        Ok(Self { backend: found, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_found_by_its_name() {
        for found in found() {
            let choice: DeviceChoice = found.device.parse().expect("a known name");
            assert_eq!(choice.to_string(), found.device);
        }
    }

    #[test]
    fn an_unknown_device_is_refused_with_the_known_ones() {
        for name in ["tpu", "tpu:7", "flexible"] {
            let error = name.parse::<DeviceChoice>().expect_err("no such device").to_string();
            assert!(error.contains(name) && error.contains("flex"), "{error}");
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_cpu_is_one() {
        let error = "flex:0".parse::<DeviceChoice>().expect_err("there is one").to_string();
        assert_eq!(error, "device `flex:0` takes no number: it is `flex`");
    }

    #[cfg(not(feature = "rocm"))]
    #[test]
    fn a_backend_that_is_not_built_in_is_refused_with_the_command_that_builds_it() {
        let error = "rocm:0".parse::<DeviceChoice>().expect_err("not built in").to_string();
        assert!(error.contains("`rocm:0`") && error.contains("--features rocm"), "{error}");
    }

    #[test]
    fn what_a_driver_says_before_it_panics_is_the_reason() {
        assert_eq!(quietly(|| 3), Ok(3));
        assert_eq!(quietly(|| panic!("no {}", "luck")), Err::<(), _>("no luck".to_owned()));
    }
}
