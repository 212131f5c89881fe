//! Times of the program on one or several devices.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    Options,
    plot::{self, Bar},
    results::{Kept, table},
};
use crate::learngene::Learngene;

/// A line of `learngene bench --json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Timing {
    framework: String,
    device: String,
    threads: usize,
    pub(super) workload: String,
    shape: String,
    batch: usize,
    pub(super) ms: f64,
    first_ms: f64,
    images_per_second: Option<f64>,
    flops_per_second: Option<f64>,
    peak_flops_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    peak_memory_bytes: Option<u64>,
    device_memory_bytes: Option<u64>,
}

/// # Errors
/// When the program fails or a result cannot be kept.
pub(super) fn run(
    learngene: &Learngene,
    options: &Options,
    devices: &[String],
    kept: Option<&Kept>,
) -> Result<()> {
    let mut timings = Vec::new();
    for device in devices {
        let lines = learngene.run(&options.bench(device, &options.shapes.join(",")))?;
        for timing in parse(&lines)? {
            // What no device takes part in is measured once.
            let is_same = |other: &Timing| {
                (&other.device, &other.workload, &other.shape)
                    == (&timing.device, &timing.workload, &timing.shape)
            };
            if timings.iter().any(is_same) {
                continue;
            }
            let json = serde_json::to_string(&timing).context("a timing is plain data")?;
            println!("{}", if options.json { json } else { timing.text() });
            timings.push(timing);
        }
    }
    if let Some(kept) = kept {
        kept.write(&timings, &as_table(&timings), &draw(&timings)?)?;
    }
    Ok(())
}

/// The lines of one run of `learngene bench`.
pub(super) fn parse(lines: &str) -> Result<Vec<Timing>> {
    let timing = |line| {
        serde_json::from_str(line).with_context(|| format!("`{line}` is not a line of a benchmark"))
    };
    lines.lines().map(timing).collect()
}

impl Timing {
    fn text(&self) -> String {
        self.cells().join("  ")
    }

    fn cells(&self) -> Vec<String> {
        let number = |value: Option<f64>, unit: f64, decimals: usize| {
            value.map_or("-".to_owned(), |value| format!("{:.decimals$}", value / unit))
        };
        let share = self.flops_per_second.zip(self.peak_flops_per_second);
        vec![
            format!("{:23}", self.workload),
            format!("{:10}", self.shape),
            format!("{:10}", self.device),
            format!("{:9.1}", self.ms),
            format!("{:9.1}", self.first_ms),
            format!("{:>8}", number(self.images_per_second, 1.0, 1)),
            format!("{:>6}", number(self.flops_per_second, 1e9, 0)),
            format!("{:>4}", number(share.map(|(found, peak)| 100.0 * found / peak), 1.0, 0)),
            format!("{:>5}", number(self.bytes_per_second, 1e9, 2)),
            format!(
                "{:>6}",
                number(self.peak_memory_bytes.map(|bytes| bytes as f64), 1_048_576.0, 0)
            ),
        ]
    }
}

fn as_table(timings: &[Timing]) -> String {
    let head = [
        "workload",
        "shape",
        "device",
        "ms",
        "first ms",
        "images/s",
        "GFLOP/s",
        "% of peak",
        "GB/s",
        "peak MiB",
    ];
    table(&head, timings.iter().map(Timing::cells))
}

fn draw(timings: &[Timing]) -> Result<String> {
    let bars = timings.iter().map(|timing| Bar {
        group: format!("{} {}", timing.workload, timing.shape),
        series: timing.device.clone(),
        value: timing.ms,
    });
    plot::bars(
        "Time of one iteration",
        "milliseconds (logarithmic)",
        &bars.collect::<Vec<_>>(),
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"framework":"learngene 0.1.0","device":"flex","threads":2,
        "workload":"forward","shape":"nano","batch":64,"ms":62.0,"first_ms":70.0,
        "images_per_second":1032.3,"flops_per_second":2e11,"peak_flops_per_second":4e11,
        "bytes_per_second":null,"peak_memory_bytes":98000000,"device_memory_bytes":null}"#;

    #[test]
    fn a_line_becomes_a_row() {
        let timings = parse(&LINE.replace('\n', " ")).expect("a line");
        let table = as_table(&timings);
        let row = table.lines().last().expect("a row");
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(
            cells[1..11],
            ["forward", "nano", "flex", "62.0", "70.0", "1032.3", "200", "50", "-", "93"]
        );
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let error = parse("Traceback").expect_err("no JSON").to_string();
        assert_eq!(error, "`Traceback` is not a line of a benchmark");
    }

    #[test]
    fn every_line_is_drawn() {
        let timings = parse(&LINE.replace('\n', " ")).expect("a line");
        let svg = draw(&timings).expect("one bar can be drawn");
        assert!(svg.contains("forward nano") && svg.contains("flex"), "{svg}");
    }
}
