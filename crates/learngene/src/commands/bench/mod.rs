//! `learngene bench`

mod measure;
mod parity;
mod preset;
mod scaling;
mod workload;

use std::{num::NonZeroUsize, process::Command};

use anyhow::{Context, ensure};
use clap::{Subcommand, ValueEnum};

use self::{measure::Timing, preset::Preset, workload::Workload};
use crate::{
    args::{DeviceArgs, at_least_one},
    progress,
    text::{count, list},
};

/// Times what a user waits for, or compares what devices compute.
///
/// Models have random weights, images are those of the embedded sample. A time is the median over
/// the iterations, after a first one that is reported apart: on a GPU it compiles kernels and chooses
/// among them. Each workload runs in a process of its own, so that its peak memory is its own.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  learngene bench --workloads train_step,forward --shapes micro,deit_small\n  \
    learngene bench parity --devices flex,cuda:0\n  learngene bench scaling --json"
)]
pub struct Args {
    #[command(subcommand)]
    study: Option<Study>,
    #[command(flatten)]
    timed: TimedArgs,
}

/// More than times.
#[derive(Subcommand)]
enum Study {
    Parity(parity::Args),
    Scaling(scaling::Args),
}

/// What is timed, on what, how often.
#[derive(clap::Args)]
struct TimedArgs {
    /// What is timed.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["train_step", "forward", "probe"])]
    workloads: Vec<Workload>,
    /// Models that it is timed on.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["nano", "micro", "deit_small"])]
    shapes: Vec<Preset>,
    /// Times that each is repeated.
    #[arg(long, value_name = "N", default_value = "5", value_parser = at_least_one)]
    iterations: NonZeroUsize,
    #[command(flatten)]
    device: DeviceArgs,
    /// Prints one line of JSON for each workload and shape.
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.study {
        Some(Study::Parity(args)) => parity::run(args),
        Some(Study::Scaling(args)) => scaling::run(args),
        None => time(&args.timed),
    }
}

fn time(args: &TimedArgs) -> anyhow::Result<()> {
    if let ([shape], [workload]) = (&args.shapes[..], &args.workloads[..]) {
        let timing = Timing::of(*workload, *shape, args.iterations, args.device.device.clone())?;
        return print(&timing, args.json);
    }
    args.device.device.open()?; // One error is enough where there is no such device.
    let total = args.shapes.len() * args.workloads.len();
    let bar = progress::bar(total as u64, "workloads").with_message("timing");
    let mut failed = Vec::new();
    for &shape in &args.shapes {
        for &workload in &args.workloads {
            match in_its_own_process(args, workload, shape) {
                Ok(timing) => bar.suspend(|| print(&timing, args.json))?,
                Err(error) => {
                    let what = format!("{} of {}", name(workload), name(shape));
                    bar.suspend(|| tracing::error!("{what}: {error:#}"));
                    failed.push(what);
                }
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let failures = count(failed.len(), "workload", "workloads");
    ensure!(failed.is_empty(), "{failures} failed: {}", list(&failed));
    Ok(())
}

fn print(timing: &Timing, json: bool) -> anyhow::Result<()> {
    super::say(if json { serde_json::to_string(timing)? } else { timing.text() })
}

/// Times one workload by this program started anew.
fn in_its_own_process(
    args: &TimedArgs,
    workload: Workload,
    shape: Preset,
) -> anyhow::Result<Timing> {
    let program = std::env::current_exe().context("this program does not know where it lies")?;
    let output = Command::new(program)
        .args(["bench", "--json", "--workloads", &name(workload), "--shapes", &name(shape)])
        .args(["--iterations", &args.iterations.to_string()])
        .args(["--device", &args.device.device.to_string()])
        .output()
        .context("this program cannot be started again")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}",
        match stderr.lines().rfind(|line| !line.is_empty()) {
            Some(line) => format!("{}: {line}", output.status),
            None => output.status.to_string(),
        }
    );
    serde_json::from_slice(&output.stdout).context("its output is not a timing")
}

/// What the command line calls it.
fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}
