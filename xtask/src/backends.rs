//! Backends beside the CPU's: whether remote devices work, and whether one backend computes what the
//! CPU does, on a graphics card or on a driver in software.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    program::Program,
    test::{features, has_nextest},
    workspace::Workspace,
};

/// Runs on the most drivers, and on those in software too.
const RUN: &str = "wgpu";

/// The features whose tests run: one build of tests has them all, and leaves the program that is
/// compared.
const TESTED: &[&str] = &[RUN, "remote"];

/// # Errors
/// When a test of remote devices fails, or a device computes something else than the CPU.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let root = &workspace.root;
    let command: &[&str] = if has_nextest(root) { &["nextest", "run"] } else { &["test"] };
    Program::cargo(root)
        .args(command)
        .args(["--workspace", "--bin", "learngene", "--test", "cli"])
        .args(features(TESTED))
        .args(["remote"])
        .run()?;
    let binary =
        workspace.target.join("debug").join(format!("learngene{}", std::env::consts::EXE_SUFFIX));
    let learngene = || Program::new(&binary.to_string_lossy(), &workspace.root);
    let listing = learngene().args(["list", "devices", "--json"]).output()?;
    let Some(device) = first_device(&listing)? else {
        eprintln!(
            "skipped: parity of flex and {RUN}, and training on {RUN}: it has no device here \
             (Debian's mesa-vulkan-drivers has one in software)"
        );
        return Ok(());
    };
    learngene().args(["bench", "parity", "--devices", &format!("flex,{device}")]).run()
}

/// The first device of the backend that is run, as `learngene list devices --json` lists it.
fn first_device(listing: &str) -> Result<Option<String>> {
    let listing: Value = serde_json::from_str(listing)
        .context("cannot read the answer of `learngene list devices`")?;
    let devices =
        listing["devices"].as_array().context("`learngene list devices` lists no devices")?;
    let names = devices.iter().filter_map(|device| device["device"].as_str());
    let is_of_it = |name: &&str| name.split(':').next() == Some(RUN);
    Ok(names.into_iter().find(is_of_it).map(ToOwned::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_device_of_the_backend_is_found() {
        let listing = r#"{"devices": [{"device": "flex"}, {"device": "wgpu:0"}], "missing": []}"#;
        assert_eq!(first_device(listing).expect("a listing"), Some("wgpu:0".to_owned()));
        let listing = r#"{"devices": [{"device": "flex"}], "missing": []}"#;
        assert_eq!(first_device(listing).expect("a listing"), None);
        assert!(first_device("{}").is_err());
    }
}
