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
    pub(super) study: String,
    device: String,
    pub(super) x: String,
    pub(super) points: Vec<Point>,
    pub(super) fit: PowerLaw,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) ms: f64,
}

/// `ms = factor * x^exponent`
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct PowerLaw {
    pub(super) factor: f64,
    pub(super) exponent: f64,
    r_squared: f64,
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
        kept.lines(&studies)?;
        kept.write("md", &as_table(&studies))?;
        kept.write("svg", &plot::power_laws(&studies)?)?;
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
        let PowerLaw { factor, exponent, r_squared } = self.fit;
        let Self { study, device, x, .. } = self;
        format!("{study:24} {device:8} {factor:.3e} ms * ({x})^{exponent:.2}, R^2 {r_squared:.4}")
    }
}

fn as_table(studies: &[Scaling]) -> String {
    let rows = studies.iter().map(|study| {
        let points = study.points.iter().map(|point| format!("{}: {:.1}", point.x, point.ms));
        vec![
            study.study.clone(),
            study.x.clone(),
            points.collect::<Vec<_>>().join(", "),
            format!("{:.2}", study.fit.exponent),
            format!("{:.4}", study.fit.r_squared),
        ]
    });
    table(&["study", "x", "x: ms", "exponent", "R^2"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"study":"probe_over_images","device":"flex","x":"images","points":[{"x":16.0,"ms":40.0},{"x":32.0,"ms":80.0}],"fit":{"factor":2.5,"exponent":1.0,"r_squared":1.0}}"#;

    #[test]
    fn a_study_becomes_a_row_and_a_drawing() {
        let studies = parse(LINE).expect("a line");
        let table = as_table(&studies);
        assert!(
            table
                .ends_with("| probe_over_images | images | 16: 40.0, 32: 80.0 | 1.00 | 1.0000 |\n"),
            "{table}"
        );
        let svg = plot::power_laws(&studies).expect("two points can be drawn");
        assert!(svg.contains("probe_over_images") && svg.contains("images"), "{svg}");
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let error = parse("{}").expect_err("no study").to_string();
        assert_eq!(error, "`{}` is not a line of a study");
    }
}
