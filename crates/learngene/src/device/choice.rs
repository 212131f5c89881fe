//! A device as the command line names it.

use std::{fmt, str::FromStr};

use anyhow::{Context, anyhow, bail, ensure};
use burn::tensor::Device;
use learngene_kernels::set_fused;
use serde::{Serialize, Serializer};

use super::{BACKENDS, Backend, quietly};
#[cfg(feature = "remote")]
use super::{address::Address, remote};

/// A device as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A backend of this machine and, of a GPU's, which of its devices.
    Local { backend: Backend, index: usize },
    /// What another program, mostly on another machine, offers at an address.
    #[cfg(feature = "remote")]
    Remote(Address),
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// The fused operations are turned on or off for the whole program, as the choice wants them:
    /// work on one device ends before another is opened, or [`open_all`] opens them together.
    pub fn open(&self) -> anyhow::Result<Device> {
        let device = match self {
            Self::Local { backend, index } => {
                let devices = backend.devices();
                devices.get(*index).cloned().with_context(|| {
                    format!(
                        "no device {self}: this machine has {} of {backend}, which needs {}",
                        devices.len(),
                        backend.needs()
                    )
                })?
            }
            #[cfg(feature = "remote")]
            Self::Remote(address) => remote::connect(address)?,
        };
        // Drivers of GPUs are first asked here, and burn panics where they refuse.
        let asked = quietly(|| device.sync().map_err(|error| error.to_string()));
        asked.flatten().map_err(|reason| anyhow!("device {self} cannot be opened: {reason}"))?;
        #[cfg(feature = "flex")]
        set_fused(!self.is_plain());
        #[cfg(not(feature = "flex"))]
        set_fused(false);
        Ok(device)
    }

    /// Whether another program offers the device.
    #[cfg(feature = "remote")]
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Whether the CPU is to work without fused operations.
    #[cfg(feature = "flex")]
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Local { backend: Backend::FlexPlain, .. })
    }

    /// Whether the CPU is to work without fused operations.
    #[cfg(not(feature = "flex"))]
    pub(super) fn is_plain(&self) -> bool {
        false
    }

    /// Whether it is the CPU of this machine.
    #[cfg(feature = "flex")]
    pub fn is_cpu(&self) -> bool {
        matches!(self, Self::Local { backend: Backend::Flex | Backend::FlexPlain, .. })
    }

    /// Whether it is the CPU of this machine.
    #[cfg(not(feature = "flex"))]
    pub fn is_cpu(&self) -> bool {
        false
    }
}

/// Opens devices that are to work together, in their order: each once, but for the CPU.
pub fn open_all(choices: &[DeviceChoice]) -> anyhow::Result<Vec<Device>> {
    for (before, choice) in choices.iter().enumerate() {
        ensure!(
            choice.is_cpu() || !choices[..before].contains(choice),
            "device {choice} is named twice; only the CPU can work twice at once"
        );
        #[cfg(feature = "flex")]
        ensure!(
            !choice.is_cpu() || choices.iter().all(|c| !c.is_cpu() || c == choice),
            "flex and flex-plain cannot work together: fused operations are on or off for all"
        );
    }
    let opened = choices.iter().map(DeviceChoice::open).collect::<anyhow::Result<_>>()?;
    #[cfg(feature = "flex")]
    set_fused(!choices.iter().any(DeviceChoice::is_plain));
    Ok(opened)
}

impl Default for DeviceChoice {
    /// The first of the program's backends: the CPU where it is built in.
    fn default() -> Self {
        Self::Local { backend: Backend::ALL[0], index: 0 }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { backend, .. } if backend.is_single() => write!(f, "{backend}"),
            Self::Local { backend, index } => write!(f, "{backend}:{index}"),
            #[cfg(feature = "remote")]
            Self::Remote(address) => write!(f, "remote:{address}"),
        }
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for DeviceChoice {
    type Err = anyhow::Error;

    /// `flex`, `cuda:1`, `cuda` for its first device, or `remote:ws://host:3000`.
    fn from_str(name: &str) -> anyhow::Result<Self> {
        #[cfg(feature = "remote")]
        if name.split(':').next() == Some("remote") {
            let address = name.strip_prefix("remote:").and_then(Address::parse);
            let address = address.with_context(|| {
                format!("device `{name}`: expected an address, as in `remote:ws://host:3000`")
            })?;
            return Ok(Self::Remote(address));
        }
        let (backend, index) = match name.split_once(':') {
            Some((backend, index)) => (backend, Some(index)),
            None => (name, None),
        };
        let known = || Backend::ALL.iter().map(|b| b.name()).collect::<Vec<_>>().join(", ");
        let Some(&found) = Backend::ALL.iter().find(|found| found.name() == backend) else {
            let feature = backend.strip_suffix("-plain").unwrap_or(backend);
            match BACKENDS.iter().find(|(other, ..)| *other == feature) {
                Some((feature, ..)) => bail!(
                    "device `{name}` is not in this program, which was built with: {}; `cargo \
                     install --path crates/learngene --features {feature}` builds one with it",
                    known()
                ),
                None => bail!("unknown device `{name}`; this program was built with: {}", known()),
            }
        };
        let index = match index {
            None => 0,
            Some(index) if !found.is_single() => index.parse().with_context(|| {
                format!("device `{name}`: expected a number after the colon, as in `{backend}:0`")
            })?,
            Some(_) => bail!("device `{name}` takes no number: it is `{backend}`"),
        };
        Ok(Self::Local { backend: found, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::found;

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

    #[cfg(feature = "remote")]
    #[test]
    fn a_remote_device_is_named_by_its_address() {
        let choice: DeviceChoice = "remote:ws://gpu:3000".parse().expect("an address");
        assert_eq!(choice.to_string(), "remote:ws://gpu:3000");
        for name in ["remote", "remote:0", "remote:gpu:3000", "remote:ws://gpu"] {
            let error = name.parse::<DeviceChoice>().expect_err("no address").to_string();
            let expected = "expected an address, as in `remote:ws://host:3000`";
            assert_eq!(error, format!("device `{name}`: {expected}"));
        }
    }

    #[cfg(not(feature = "remote"))]
    #[test]
    fn remote_devices_are_a_feature() {
        let error = "remote:ws://gpu:3000".parse::<DeviceChoice>().expect_err("not built in");
        assert!(error.to_string().contains("--features remote"), "{error}");
    }

    #[cfg(feature = "flex")]
    #[test]
    fn devices_that_work_together_are_all_alike_on_the_cpu() {
        let open = |names: &[&str]| {
            let choices: Vec<DeviceChoice> =
                names.iter().map(|name| name.parse().expect("a known name")).collect();
            open_all(&choices).map(|devices| devices.len()).map_err(|error| error.to_string())
        };
        assert_eq!(open(&["flex", "flex"]), Ok(2));
        let error = open(&["flex", "flex-plain"]).expect_err("fused or not");
        assert!(error.contains("cannot work together"), "{error}");
    }

    #[cfg(feature = "remote")]
    #[test]
    fn no_other_device_is_opened_twice() {
        let choice: DeviceChoice = "remote:ws://gpu:3000".parse().expect("an address");
        let error = open_all(&[choice.clone(), choice]).expect_err("twice").to_string();
        assert!(error.starts_with("device remote:ws://gpu:3000 is named twice"), "{error}");
    }

    #[cfg(not(feature = "rocm"))]
    #[test]
    fn a_backend_that_is_not_built_in_is_refused_with_the_command_that_builds_it() {
        let error = "rocm:0".parse::<DeviceChoice>().expect_err("not built in").to_string();
        assert!(error.contains("`rocm:0`") && error.contains("--features rocm"), "{error}");
    }
}
