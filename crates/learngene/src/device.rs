//! The only place that names backends.

use std::{fmt, str::FromStr};

use burn::tensor::Device;

/// A device as the command line names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// burn's portable CPU backend.
    #[default]
    Flex,
}

/// A name that no device of this program has.
#[derive(Debug, thiserror::Error)]
#[error("unknown device `{name}`; this program was built with: {known}")]
pub struct UnknownDevice {
    name: String,
    known: String,
}

impl DeviceChoice {
    /// Every device that this program was built with.
    pub fn all() -> Vec<Self> {
        vec![Self::Flex]
    }

    /// Opens the device.
    pub fn open(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
        }
    }

    /// What the device is, in words.
    pub fn description(self) -> &'static str {
        match self {
            Self::Flex => "CPU, all cores (burn flex, with fused operations)",
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flex => f.write_str("flex"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;

    fn from_str(name: &str) -> Result<Self, UnknownDevice> {
        Self::all().into_iter().find(|device| device.to_string() == name).ok_or_else(|| {
            let known: Vec<String> = Self::all().iter().map(Self::to_string).collect();
            UnknownDevice { name: name.to_owned(), known: known.join(", ") }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_found_by_its_name() {
        for device in DeviceChoice::all() {
            assert_eq!(device.to_string().parse::<DeviceChoice>().expect("a known name"), device);
        }
    }

    #[test]
    fn an_unknown_device_is_refused_with_the_known_ones() {
        let error = "cuda:7".parse::<DeviceChoice>().expect_err("not built in").to_string();
        assert!(error.contains("`cuda:7`") && error.contains("flex"), "{error}");
    }
}
