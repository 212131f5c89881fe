//! `learngene devices`

use serde::Serialize;

use crate::device::DeviceChoice;

/// Lists the devices that this program can use.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene devices --json")]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed {
    device: String,
    description: &'static str,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let devices: Vec<Listed> = DeviceChoice::all()
        .into_iter()
        .map(|device| Listed { device: device.to_string(), description: device.description() })
        .collect();
    super::print(args.json, &devices, |devices| {
        let lines: Vec<String> = devices
            .iter()
            .map(|listed| format!("{:8} {}", listed.device, listed.description))
            .collect();
        lines.join("\n")
    })
}
