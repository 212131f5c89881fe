//! `--compat`, which is the same wherever it stands but for the faults that can be replayed there.

use clap::builder::{PossibleValue, ValueParser};
use learngene_format::Fault;

use crate::args::choice;

pub const HELP: &str =
    "Replays a fault of the paper's published code, to measure what it costs; never for use.";

/// One of these faults; long help says what each does.
pub fn one_of(faults: &[Fault]) -> ValueParser {
    let values = faults.iter().map(|fault| PossibleValue::new(fault.name()).help(effect(*fault)));
    choice::<Fault>(values.collect::<Vec<_>>())
}

/// What it does to a learngene, a descendant or a run.
fn effect(fault: Fault) -> &'static str {
    match fault {
        Fault::MixedHeads => "takes three heads of one role (query, key or value) for one head",
        Fault::BlankProbe => {
            "normalises images so that they are nearly blank when heads are measured"
        }
        Fault::LostBias => "leaves biases of query, key and value behind",
        Fault::DestructiveFfn => {
            "sends feed-forward weights through a random network that never learns"
        }
        Fault::HalfEpochs => "ends each epoch after half of its batches",
    }
}
