//! `cargo xtask bench`: how fast the program is, alone, in turns with PyTorch, over devices and over
//! sizes; results are kept with the machine and the commit they are of.

mod device;
mod plot;
mod pytorch;
mod results;
mod scaling;
mod study;
mod times;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use self::results::Kept;
use crate::{
    learngene::{Learngene, Line},
    workspace::Workspace,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Compares with PyTorch, run in turns by this Python, which has torch and timm.
    #[arg(long, value_name = "PYTHON", conflicts_with_all = ["devices", "device", "scaling"])]
    against_pytorch: Option<PathBuf>,
    /// Times probes and training steps over sizes, and fits laws.
    #[arg(long, conflicts_with_all = ["devices", "device"])]
    scaling: bool,
    /// Devices to compare with each other.
    #[arg(long, value_name = "DEVICE[,DEVICE..]", value_delimiter = ',', default_values = ["flex"])]
    devices: Vec<String>,
    /// Does all for a device that comes to hand: build, parity with the CPU, times, one desk
    /// training run.
    #[arg(long, value_name = "DEVICE", conflicts_with = "devices")]
    device: Option<String>,
    /// What is timed; `learngene bench --help` lists all. PyTorch has train_step, forward and probe.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["train_step", "forward", "probe"])]
    workloads: Vec<String>,
    /// Models that it is timed on. PyTorch has nano, micro and deit_small, and swin_tiny without
    /// probe.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["nano", "micro", "deit_small"])]
    shapes: Vec<String>,
    /// Times that each is repeated in a turn.
    #[arg(long, value_name = "N", default_value_t = 5)]
    iterations: usize,
    /// Epochs of the training run of --device.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "device")]
    epochs: usize,
    /// Keeps lines, table and plot in this folder of benches/results.
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
    /// Prints one line of JSON for each workload and shape.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if let Some(device) = &options.device {
        return device::run(workspace, options, device);
    }
    let keep = |kind| {
        let name = options.keep.as_deref();
        name.map(|name| Kept::open(workspace, name, kind)).transpose()
    };
    if let Some(python) = &options.against_pytorch {
        let learngene = Learngene::build(workspace)?;
        return pytorch::run(workspace, &learngene, options, python, keep("pytorch")?.as_ref());
    }
    if options.scaling {
        let learngene = Learngene::build(workspace)?;
        return scaling::run(&learngene, options, keep("scaling")?.as_ref());
    }
    let learngene = Learngene::build_for(workspace, &options.devices)?;
    times::run(&learngene, options, &options.devices, keep("times")?.as_ref())
}

impl Options {
    /// `learngene bench` on a device.
    fn bench(&self, device: &str, shapes: &str) -> Line {
        Line::new("bench")
            .flag("workloads", self.workloads.join(","))
            .flag("shapes", shapes)
            .flag("iterations", self.iterations)
            .flag("device", device)
            .arg("--json")
    }
}
