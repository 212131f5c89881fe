//! `learngene serve`

use std::{
    io::{self, Write},
    net::TcpListener,
};

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::{
    args::DeviceArgs,
    device::{self, Address, DeviceChoice},
};

/// Offers a device of this machine to other machines, until interrupted.
///
/// They name it remote:ws://HOST:PORT, in --device or among --devices of `learngene train`. What
/// goes over the network is not encrypted, and whoever reaches the address may use the device: do
/// this in a network where you trust everyone.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene serve --device cuda:0 --address 0.0.0.0:3000\n  \
        learngene train --devices remote:ws://gpu1:3000,remote:ws://gpu2:3000 ...")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Address to listen on: port 0 is any free one, host 0.0.0.0 all networks of this machine.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0", value_parser = address)]
    address: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// A device that is offered.
#[derive(Serialize)]
struct Offer {
    /// As this machine names it.
    device: DeviceChoice,
    /// As other machines name it, where the host's address is one that they reach.
    remote: DeviceChoice,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let choice = args.device.device;
    ensure!(!choice.is_remote(), "{choice} is offered already: choose a device of this machine");
    let device = choice.open()?;
    let place = || format!("cannot listen on {}", args.address);
    let listener = TcpListener::bind(&args.address).with_context(place)?;
    let address = Address::from(listener.local_addr().with_context(place)?);
    let offer = Offer { device: choice, remote: DeviceChoice::Remote(address) };
    super::print(args.json, &offer, |Offer { device, remote }| {
        format!("{device} is offered as {remote}, until interrupted")
    })?;
    // A program that reads the address waits for it.
    io::stdout().flush().context("cannot write to standard output")?;
    device::serve(device, listener).with_context(|| format!("cannot offer {}", offer.device))
}

/// A host and a port.
fn address(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        true => Ok(text.to_owned()),
        false => Err(format!("wanted a host and a port such as 127.0.0.1:3000, got `{text}`")),
    }
}
