//! `learngene bench parity`: whether devices compute the same.

mod results;

use anyhow::{Context, ensure};
use serde::Serialize;

use self::results::{GOLDENS, Golden, Kind, Quantity, train};
use crate::device::DeviceChoice;

/// Compares what devices compute with PyTorch's results and with each other's.
///
/// Golden models: logits, attention, loss and gradients, against PyTorch's where they are known and
/// the first device's otherwise. Then one epoch of training from the same weights on the same
/// images. The exit code is 1 where a difference is above its tolerance.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene bench parity --devices flex,wgpu:0")]
pub struct Args {
    /// Devices to compare; the first is what the others are compared with.
    #[arg(
        long,
        value_name = "DEVICE[,DEVICE..]",
        value_delimiter = ',',
        required = true,
        num_args = 1
    )]
    devices: Vec<DeviceChoice>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Two results beside each other.
#[derive(Serialize)]
struct Comparison {
    device: String,
    /// A device, or `pytorch`.
    reference: String,
    quantity: String,
    kind: Kind,
    /// Greatest difference of two values; null where one is not finite.
    difference: Option<f64>,
    tolerance: f64,
    agrees: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let goldens = GOLDENS.iter().map(Golden::read).collect::<anyhow::Result<Vec<_>>>()?;
    let mut comparisons = Vec::new();
    let mut first: Option<(String, Vec<Quantity>)> = None;
    for choice in &args.devices {
        // One device after another, for opening one may change how the next computes.
        let device = choice.open()?;
        let mut quantities = Vec::new();
        for golden in &goldens {
            quantities.extend(golden.run(&device).with_context(|| choice.to_string())?);
        }
        quantities.extend(train(&device).with_context(|| choice.to_string())?);

        let pytorch: Vec<&Quantity> = goldens.iter().flat_map(|golden| &golden.expected).collect();
        for known in &pytorch {
            let is_computed = quantities.iter().any(|quantity| quantity.name == known.name);
            ensure!(is_computed, "{choice} did not compute {}", known.name);
        }
        for quantity in &quantities {
            let known = pytorch.iter().find(|known| known.name == quantity.name);
            let known = known.map(|known| ("pytorch", *known));
            let of_first = first.iter().flat_map(|(device, quantities)| {
                quantities.iter().map(move |quantity| (device.as_str(), quantity))
            });
            let of_first = of_first.filter(|(_, other)| other.name == quantity.name);
            for (reference, other) in known.into_iter().chain(of_first) {
                comparisons.push(Comparison::of(choice, reference, quantity, other));
            }
        }
        first.get_or_insert((choice.to_string(), quantities));
    }
    let apart = comparisons.iter().filter(|comparison| !comparison.agrees).count();
    let total = comparisons.len();
    super::super::print(args.json, &comparisons, |comparisons| summary(comparisons))?;
    match apart {
        0 => Ok(()),
        _ => {
            let no = format!("{apart} of {total} results are further apart than their tolerance");
            Err(super::super::No(no).into())
        }
    }
}

/// Of each kind, for each device and what it is compared with, the results that differ most.
fn summary(comparisons: &[Comparison]) -> String {
    let mut lines = vec!["device     against    greatest difference, allowed".to_owned()];
    let group = |one: &Comparison| (one.device.clone(), one.reference.clone(), one.kind);
    let mut seen = Vec::new();
    for first in comparisons {
        if seen.contains(&group(first)) {
            continue;
        }
        seen.push(group(first));
        let all: Vec<&Comparison> =
            comparisons.iter().filter(|other| group(other) == group(first)).collect();
        // What is not finite is worse than any number.
        let size = |one: &&&Comparison| one.difference.unwrap_or(f64::INFINITY);
        let worst = all.iter().max_by(|a, b| size(a).total_cmp(&size(b))).copied();
        lines.extend(worst.map(|worst| format!("{}; {} compared", worst.text(), all.len())));
    }
    let agreeing = comparisons.iter().filter(|comparison| comparison.agrees).count();
    lines.push(format!("{agreeing} of {} results agree", comparisons.len()));
    lines.join("\n")
}

impl Comparison {
    fn of(device: &DeviceChoice, reference: &str, found: &Quantity, wanted: &Quantity) -> Self {
        let (kind, tolerance) = (found.kind, found.kind.tolerance());
        let difference = difference(kind, &found.values, &wanted.values);
        Self {
            device: device.to_string(),
            reference: reference.to_owned(),
            quantity: found.name.clone(),
            kind,
            difference,
            tolerance,
            agrees: difference.is_some_and(|difference| difference <= tolerance),
        }
    }

    fn text(&self) -> String {
        let Self { device, reference, quantity, kind, tolerance, .. } = self;
        let difference =
            self.difference.map_or("not finite".into(), |found| format!("{found:.1e}"));
        let relative = if kind.is_relative() { " of the greatest" } else { "" };
        let verdict = if self.agrees { "" } else { "APART: " };
        format!(
            "{device:10} {reference:10} {verdict}{difference}, {tolerance:.0e}{relative}: {quantity}"
        )
    }
}

/// The greatest difference, in relation to the greatest of the wanted values where the kind says so.
fn difference(kind: Kind, found: &[f32], wanted: &[f32]) -> Option<f64> {
    let pairs = found.iter().zip(wanted).map(|(found, wanted)| f64::from(found - wanted).abs());
    let worst =
        pairs.fold(0.0, |worst: f64, one| if one > worst || one.is_nan() { one } else { worst });
    let greatest = wanted.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max);
    let difference = if kind.is_relative() && greatest > 0.0 { worst / greatest } else { worst };
    (found.len() == wanted.len() && difference.is_finite()).then_some(difference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_the_greatest_and_of_gradients_relative() {
        assert_eq!(difference(Kind::Logits, &[1.0, 5.0], &[1.5, 4.0]), Some(1.0));
        assert_eq!(difference(Kind::Gradient, &[1.0, 5.0], &[1.5, 4.0]), Some(0.25));
        assert_eq!(difference(Kind::Gradient, &[0.0], &[0.0]), Some(0.0));
    }

    #[test]
    fn what_is_not_finite_or_of_another_length_agrees_with_nothing() {
        for (found, wanted) in [(&[f32::NAN, 0.0][..], &[0.0, 0.0][..]), (&[0.0], &[0.0, 0.0])] {
            assert_eq!(difference(Kind::Logits, found, wanted), None);
        }
        assert_eq!(difference(Kind::Logits, &[0.0, f32::NAN], &[1.0, 0.0]), None);
    }

    #[test]
    fn what_is_further_apart_than_its_tolerance_does_not_agree() {
        let quantity = |value| Quantity {
            name: "logits".into(),
            kind: Kind::Logits,
            values: vec![value, 1.0],
        };
        let choice = DeviceChoice::default();
        let compare = |found| Comparison::of(&choice, "pytorch", &quantity(found), &quantity(2.0));
        assert!(compare(2.000_05).agrees);
        let apart = compare(2.001);
        assert!(!apart.agrees && apart.text().contains("APART"), "{}", apart.text());
        let summary = summary(&[compare(2.000_05), apart]);
        assert!(summary.contains("APART: 1.0e-3, 1e-4: logits; 2 compared"), "{summary}");
        assert!(summary.ends_with("1 of 2 results agree"), "{summary}");
        assert!(!compare(f32::NAN).agrees);
    }
}
