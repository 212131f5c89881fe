//! What a run is carried out with: versions and devices, but neither host nor time.

use anyhow::Context;
use serde::Serialize;

use crate::device::DeviceChoice;

/// The version that every crate of burn here has, pinned in the workspace's Cargo.toml.
const BURN: &str = "0.22.1";

/// The text of `environment.json`.
#[derive(Serialize)]
struct Environment<'a> {
    program: &'static str,
    /// The commit that the program was built from, where its build script could tell.
    commit: Option<&'static str>,
    burn: &'static str,
    system: &'static str,
    processor: &'static str,
    devices: &'a [DeviceChoice],
}

/// Tells what a run on these devices is carried out with.
pub fn environment(devices: &[DeviceChoice]) -> anyhow::Result<String> {
    let environment = Environment {
        program: env!("CARGO_PKG_VERSION"),
        commit: option_env!("LEARNGENE_COMMIT"),
        burn: BURN,
        system: std::env::consts::OS,
        processor: std::env::consts::ARCH,
        devices,
    };
    let text = serde_json::to_string_pretty(&environment);
    Ok(text.context("the environment cannot be described")? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burns_version_is_the_pinned_one() {
        let manifest = include_str!("../../../Cargo.toml");
        let pinned = format!("burn = {{ version = \"={BURN}\"");
        assert!(manifest.contains(&pinned), "{pinned}");
    }

    #[test]
    fn devices_are_named_as_on_the_command_line() {
        let text = environment(&[DeviceChoice::default()]).expect("plain texts");
        let read: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(read["devices"][0], DeviceChoice::default().to_string());
    }
}
