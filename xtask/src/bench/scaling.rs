//! How time grows with images, model, batch and tokens.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    Options, plot,
    results::{Kept, table},
};
use crate::learngene::{Learngene, Line};

/// A line of `learngene bench scaling --json`.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Scaling {
    framework: String,
    device: String,
    threads: usize,
    pub(super) study: String,
    pub(super) x: String,
    pub(super) points: Vec<Point>,
    pub(super) fit: Polynomial,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) ms: f64,
}

/// `ms = coefficients[0] + coefficients[1] * x + ..`
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Polynomial {
    coefficients: Vec<f64>,
    formula: String,
    /// The greatest share by which a time differs from the fit.
    worst_error: f64,
}

impl Polynomial {
    pub(super) fn at(&self, x: f64) -> f64 {
        self.coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
    }
}

/// # Errors
/// When the program fails or a result cannot be kept.
pub(super) fn run(learngene: &Learngene, options: &Options, kept: Option<&Kept>) -> Result<()> {
    let line = Line::new("bench").arg("scaling").flag("iterations", options.iterations);
    let lines = learngene.run(&line.arg("--json"))?;
    let studies = parse(&lines)?;
    for study in &studies {
        let json = serde_json::to_string(study).context("a study is plain data")?;
        println!("{}", if options.json { json } else { study.text() });
    }
    if let Some(kept) = kept {
        kept.write(&studies, &as_table(&studies), &plot::studies(&studies)?)?;
    }
    Ok(())
}

fn parse(lines: &str) -> Result<Vec<Scaling>> {
    let study = |line| {
        serde_json::from_str(line).with_context(|| format!("`{line}` is not a line of a study"))
    };
    lines.lines().map(study).collect()
}

impl Scaling {
    fn text(&self) -> String {
        let Self { study, device, x, fit, .. } = self;
        let off = 100.0 * fit.worst_error;
        format!("{study:24} {device:8} {} ms, x {x}, at most {off:.1} % off", fit.formula)
    }
}

fn as_table(studies: &[Scaling]) -> String {
    let rows = studies.iter().map(|study| {
        let points = study.points.iter().map(|point| format!("{}: {:.1}", point.x, point.ms));
        vec![
            study.study.clone(),
            study.x.clone(),
            points.collect::<Vec<_>>().join(", "),
            study.fit.formula.clone(),
            format!("{:.1}", 100.0 * study.fit.worst_error),
        ]
    });
    table(&["study", "x", "x: ms", "fitted ms", "at most % off"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"framework":"learngene 0.1.0","device":"flex","threads":2,"study":"probe_over_images","x":"images","points":[{"x":16.0,"ms":40.0},{"x":32.0,"ms":80.0}],"fit":{"coefficients":[1.0,2.5],"formula":"1.00 + 2.50 x","worst_error":0.012}}"#;

    #[test]
    fn a_study_becomes_a_row_and_a_drawing() {
        let studies = parse(LINE).expect("a line");
        let table = as_table(&studies);
        assert!(table.ends_with("| 16: 40.0, 32: 80.0 | 1.00 + 2.50 x | 1.2 |\n"), "{table}");
        let svg = plot::studies(&studies).expect("two points can be drawn");
        assert!(svg.contains("probe_over_images") && svg.contains("images"), "{svg}");
    }

    #[test]
    fn a_polynomial_is_worked_out() {
        let fit = Polynomial {
            coefficients: vec![1.0, 2.0, 3.0],
            formula: String::new(),
            worst_error: 0.0,
        };
        assert_eq!(fit.at(2.0), 17.0);
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let error = parse("{}").expect_err("no study").to_string();
        assert_eq!(error, "`{}` is not a line of a study");
    }
}
