//! `learngene list devices`

use serde::Serialize;

use crate::{
    device::{self, FoundDevice, MissingBackend},
    text,
};

/// Lists the devices that can be used here, and what the other backends need.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene list devices --json")]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    devices: Vec<FoundDevice>,
    missing: Vec<MissingBackend>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let devices = device::found();
    let missing = device::missing(&devices);
    super::super::print(args.json, &Listing { devices, missing }, |listing| {
        let found = listing.devices.iter().map(FoundDevice::text);
        let missing = listing.missing.iter().map(MissingBackend::text);
        found.chain(missing).collect::<Vec<_>>().join("\n")
    })
}

impl FoundDevice {
    fn text(&self) -> String {
        let Self { device, description, memory, dtypes } = self;
        let memory = memory.map_or("memory unknown".to_owned(), text::bytes);
        format!("{device:11} {description}; {memory}; {}", dtypes.join(", "))
    }
}

impl MissingBackend {
    fn text(&self) -> String {
        let Self { backend, built, needs } = self;
        if *backend == "remote" && *built {
            format!("{backend:11} by address; needs {needs}")
        } else if *built {
            format!("{backend:11} no device found; needs {needs}")
        } else {
            format!("{backend:11} not in this program (--features {backend}); needs {needs}")
        }
    }
}
