//! Devices: this file and its folder alone name backends.

#[cfg(feature = "remote")]
mod address;
mod choice;
mod found;
#[cfg(feature = "remote")]
mod remote;
#[cfg(feature = "remote")]
mod watch;

use std::{fmt, panic};

use burn::tensor::Device;

#[cfg(feature = "remote")]
pub use address::Address;
pub use choice::{DeviceChoice, open_all};
pub use found::{FoundDevice, MissingBackend, found, memory, missing};
#[cfg(feature = "remote")]
pub use remote::serve;
#[cfg(feature = "remote")]
pub use watch::{after_a_loss, end_if_lost};

/// What a user can do after a device was lost, which here none is.
#[cfg(not(feature = "remote"))]
pub fn after_a_loss(_: &'static str) {}

/// No device of this program can be lost.
#[cfg(not(feature = "remote"))]
pub fn end_if_lost() {}

#[cfg(not(any(feature = "flex", feature = "gpu")))]
compile_error!("turn on at least one backend: flex, cuda, metal, rocm, vulkan or wgpu");

/// A backend of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
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
const BACKENDS: [(&str, bool, &str); 7] = [
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
    (
        "remote",
        cfg!(feature = "remote"),
        "`learngene serve` on another machine and its address, as in remote:ws://host:3000",
    ),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_says_before_it_panics_is_the_reason() {
        assert_eq!(quietly(|| 3), Ok(3));
        assert_eq!(quietly(|| panic!("no {}", "luck")), Err::<(), _>("no luck".to_owned()));
    }
}
