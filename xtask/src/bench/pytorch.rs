//! The same work in this program and in PyTorch, in turns.

use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    Options,
    plot::{self, Bar},
    results::{Kept, table},
    times,
};
use crate::{learngene::Learngene, program::Program, workspace::Workspace};

/// What a user would run instead.
const BASELINE: &str = "benches/pytorch_baseline.py";
/// Turns of each program: A B A B, so that a machine that slows down slows both.
const ROUNDS: usize = 2;

/// A line of either program, as far as it matters here.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Timed {
    workload: String,
    ms: f64,
}

/// A workload in both programs.
#[derive(Debug, PartialEq, Serialize)]
struct Comparison {
    workload: String,
    shape: String,
    ours_ms: f64,
    pytorch_ms: f64,
    /// Above 1 where ours is faster.
    ratio: f64,
}

/// # Errors
/// When a program fails, has not measured what was asked for, or a result cannot be kept.
pub(super) fn run(
    workspace: &Workspace,
    learngene: &Learngene,
    options: &Options,
    python: &Path,
    kept: Option<&Kept>,
) -> Result<()> {
    let python = resolve(python)?;
    let mut comparisons = Vec::new();
    for shape in &options.shapes {
        let (mut ours, mut pytorch) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            eprintln!("{shape}, turn {round} of {ROUNDS}");
            let lines = times::parse(&learngene.run(&options.bench("flex", shape))?)?;
            ours.extend(lines.into_iter().map(|t| Timed { workload: t.workload, ms: t.ms }));
            pytorch.extend(baseline(options, &python, shape, &workspace.root)?);
        }
        for workload in &options.workloads {
            let comparison = compare(workload, shape, &ours, &pytorch)?;
            let json = serde_json::to_string(&comparison).context("a comparison is plain data")?;
            println!("{}", if options.json { json } else { comparison.text() });
            comparisons.push(comparison);
        }
    }
    if let Some(kept) = kept {
        kept.write(&comparisons, &as_table(&comparisons), &draw(&comparisons)?)?;
    }
    Ok(())
}

fn baseline(options: &Options, python: &Path, shape: &str, root: &Path) -> Result<Vec<Timed>> {
    let workloads: Vec<&str> = options.workloads.iter().map(|name| in_pytorch(name)).collect();
    let program = Program::new(&python.to_string_lossy(), root)
        .args([BASELINE, "--shape", shape, "--workloads", &workloads.join(",")])
        .args(["--iters", &options.iterations.to_string()]);
    parse(&program.stdout()?)
}

fn parse(lines: &str) -> Result<Vec<Timed>> {
    let timed = |line| {
        serde_json::from_str(line).with_context(|| format!("`{line}` is not a line of a benchmark"))
    };
    lines.lines().map(timed).collect()
}

/// The baseline has two probes; ours is measured against the published way.
fn in_pytorch(workload: &str) -> &str {
    if workload == "probe" { "probe_published" } else { workload }
}

/// A path holds from everywhere; a bare name is looked for by the system.
fn resolve(python: &Path) -> Result<PathBuf> {
    if python.components().count() == 1 {
        return Ok(python.to_owned());
    }
    absolute(python).with_context(|| format!("cannot resolve {}", python.display()))
}

/// Means over the turns.
fn compare(workload: &str, shape: &str, ours: &[Timed], pytorch: &[Timed]) -> Result<Comparison> {
    let mean = |timings: &[Timed], name: &str| {
        let turns: Vec<f64> =
            timings.iter().filter(|timing| timing.workload == name).map(|t| t.ms).collect();
        let mean = turns.iter().sum::<f64>() / turns.len() as f64;
        mean.is_finite().then_some(mean).with_context(|| format!("{name} was not measured"))
    };
    let (ours_ms, pytorch_ms) = (mean(ours, workload)?, mean(pytorch, in_pytorch(workload))?);
    let (workload, shape) = (workload.to_owned(), shape.to_owned());
    Ok(Comparison { workload, shape, ours_ms, pytorch_ms, ratio: pytorch_ms / ours_ms })
}

impl Comparison {
    fn text(&self) -> String {
        let Self { workload, shape, ours_ms, pytorch_ms, ratio } = self;
        format!(
            "{workload:10} {shape:10} ours {ours_ms:9.1} ms, PyTorch {pytorch_ms:9.1} ms, ratio {ratio:.2}"
        )
    }
}

fn as_table(comparisons: &[Comparison]) -> String {
    let rows = comparisons.iter().map(|comparison| {
        let Comparison { workload, shape, ours_ms, pytorch_ms, ratio } = comparison;
        vec![
            workload.clone(),
            shape.clone(),
            format!("{ours_ms:.1}"),
            format!("{pytorch_ms:.1}"),
            format!("{ratio:.2}"),
        ]
    });
    table(&["workload", "shape", "ours, ms", "PyTorch, ms", "ratio"], rows)
}

fn draw(comparisons: &[Comparison]) -> Result<String> {
    let bars = comparisons.iter().map(|comparison| Bar {
        group: format!("{} {}", comparison.workload, comparison.shape),
        series: "PyTorch's time / ours".to_owned(),
        value: comparison.ratio,
    });
    let title = "Speed against PyTorch; above 1 ours is faster";
    plot::bars(title, "ratio", &bars.collect::<Vec<_>>(), Some(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timings(lines: &[(&str, f64)]) -> Vec<Timed> {
        let line = |&(workload, ms): &(&str, f64)| Timed { workload: workload.into(), ms };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_ratio_above_one_is_faster_and_turns_are_averaged() {
        let ours = timings(&[("probe", 10.0), ("forward", 1.0), ("probe", 30.0)]);
        let pytorch = timings(&[("probe_published", 50.0), ("probe_published", 30.0)]);
        let found = compare("probe", "micro", &ours, &pytorch).expect("both were measured");
        assert_eq!((found.ours_ms, found.pytorch_ms, found.ratio), (20.0, 40.0, 2.0));
        let error = compare("forward", "micro", &ours, &pytorch).expect_err("not by PyTorch");
        assert_eq!(error.to_string(), "forward was not measured");
    }

    #[test]
    fn lines_of_the_baseline_are_read() {
        let line =
            r#"{"framework": "pytorch 2", "workload": "forward", "shape": "micro", "ms": 1.5}"#;
        assert_eq!(parse(line).expect("a line"), timings(&[("forward", 1.5)]));
        let error = parse("Traceback").expect_err("no JSON").to_string();
        assert_eq!(error, "`Traceback` is not a line of a benchmark");
    }
}
