//! All that is to be done on the day when a device comes to hand, in one command: build, parity with
//! the CPU, times, one desk training run.

use std::time::Instant;

use anyhow::{Context, Result};

use super::{Options, results::Kept, times};
use crate::{
    learngene::{Learngene, Line},
    workspace::Workspace,
};

/// # Errors
/// At the first step that fails.
pub(super) fn run(workspace: &Workspace, options: &Options, device: &str) -> Result<()> {
    let learngene = step("build", || Learngene::build_for(workspace, &[device.to_owned()]))?;
    step("devices", || show(&learngene, &Line::new("list").arg("devices")))?;
    let parity = Line::new("bench").arg("parity").flag("devices", format!("flex,{device}"));
    step("parity", || show(&learngene, &parity))?;
    step("times", || {
        // Under a name of its own where none is given, so that what was measured is not lost.
        let name = options.keep.clone().unwrap_or_else(|| device.replace(':', "-"));
        let kept = Kept::open(workspace, &name, "times")?;
        let devices = vec![device.to_owned()];
        times::run(&learngene, options, &devices, Some(&kept))
    })?;

    let shape = workspace.root.join("datasets/desk_ancestor/shape.json");
    let out = workspace.target.join("bench").join(device.replace(':', "-"));
    // A run that is finished is not repeated, and this one is to be timed.
    match std::fs::remove_dir_all(&out) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", out.display()));
        }
        _ => {}
    }
    let train = Line::new("train")
        .path("config", &shape)
        .flag("data", "cifar10-sample")
        .flag("epochs", options.epochs)
        .flag("lr", 0.00075)
        .path("out", &out)
        .flag("device", device);
    step("training", || show(&learngene, &train))
}

/// Runs a command and prints what it prints.
fn show(learngene: &Learngene, line: &Line) -> Result<()> {
    eprintln!("$ {line}");
    print!("{}", learngene.run(line)?);
    Ok(())
}

/// Does one step and tells how long it took.
fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let result = work().with_context(|| format!("step `{name}`"))?;
    eprintln!("{name}: {:.1} s", started.elapsed().as_secs_f64());
    Ok(result)
}
