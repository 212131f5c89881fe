//! `cargo xtask bench`: how long training steps, forward passes and probes take, alone or in turns
//! with PyTorch.

use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{
    learngene::{Learngene, Line},
    program::Program,
    workspace::Workspace,
};

/// What a user would run instead.
const BASELINE: &str = "benches/pytorch_baseline.py";
/// Turns of each program: A B A B, so that a machine that slows down slows both.
const ROUNDS: usize = 2;

#[derive(Args)]
pub(crate) struct Options {
    /// Compares with PyTorch, run by this Python, which has torch and timm.
    #[arg(long, value_name = "PYTHON")]
    against_pytorch: Option<PathBuf>,
    /// Of train_step, forward and probe.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["train_step", "forward", "probe"])]
    workloads: Vec<String>,
    /// Of nano, micro and deit_small.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["nano", "micro", "deit_small"])]
    shapes: Vec<String>,
    /// Times that each is repeated in a turn.
    #[arg(long, value_name = "N", default_value_t = 5)]
    iterations: usize,
    /// Prints one line of JSON for each workload and shape.
    #[arg(long)]
    json: bool,
}

/// A line of either program, as far as it matters here.
#[derive(Debug, Deserialize, PartialEq)]
struct Timing {
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

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let learngene = Learngene::build(workspace)?;
    let Some(python) = &options.against_pytorch else {
        let bench = options.line(&options.shapes.join(","));
        let bench = if options.json { bench.arg("--json") } else { bench };
        print!("{}", learngene.run(&bench)?);
        return Ok(());
    };
    let python = resolve(python)?;
    for shape in &options.shapes {
        let (mut ours, mut pytorch) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            eprintln!("{shape}, turn {round} of {ROUNDS}");
            ours.extend(parse(&learngene.run(&options.line(shape).arg("--json"))?)?);
            pytorch.extend(options.baseline(&python, shape, &workspace.root)?);
        }
        for workload in &options.workloads {
            let comparison = compare(workload, shape, &ours, &pytorch)?;
            let text = if options.json {
                serde_json::to_string(&comparison).context("a comparison is plain data")?
            } else {
                comparison.text()
            };
            println!("{text}");
        }
    }
    Ok(())
}

impl Options {
    fn line(&self, shapes: &str) -> Line {
        Line::new("bench")
            .flag("workloads", self.workloads.join(","))
            .flag("shapes", shapes)
            .flag("iterations", self.iterations)
    }

    fn baseline(&self, python: &Path, shape: &str, root: &Path) -> Result<Vec<Timing>> {
        let workloads: Vec<&str> = self.workloads.iter().map(|name| in_pytorch(name)).collect();
        let program = Program::new(&python.to_string_lossy(), root)
            .args([BASELINE, "--shape", shape, "--workloads", &workloads.join(",")])
            .args(["--iters", &self.iterations.to_string()]);
        parse(&program.stdout()?)
    }
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

fn parse(lines: &str) -> Result<Vec<Timing>> {
    let timing = |line| {
        serde_json::from_str(line).with_context(|| format!("`{line}` is not a line of a benchmark"))
    };
    lines.lines().map(timing).collect()
}

/// Means over the turns.
fn compare(workload: &str, shape: &str, ours: &[Timing], pytorch: &[Timing]) -> Result<Comparison> {
    let mean = |timings: &[Timing], name: &str| {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn timings(lines: &[(&str, f64)]) -> Vec<Timing> {
        let line = |&(workload, ms): &(&str, f64)| Timing { workload: workload.into(), ms };
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
    fn lines_of_both_programs_are_read() {
        let line =
            r#"{"framework": "pytorch 2", "workload": "forward", "shape": "micro", "ms": 1.5}"#;
        assert_eq!(parse(line).expect("a line"), timings(&[("forward", 1.5)]));
        let error = parse("Traceback").expect_err("no JSON").to_string();
        assert_eq!(error, "`Traceback` is not a line of a benchmark");
    }
}
