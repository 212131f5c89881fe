//! How time grows with images, model, batch and tokens.

use anyhow::{Context, Result};

use super::{
    Options, plot,
    results::{Kept, table},
    study::Study,
};
use crate::learngene::{Learngene, Line};

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

fn parse(lines: &str) -> Result<Vec<Study>> {
    let study = |line| {
        serde_json::from_str(line).with_context(|| format!("`{line}` is not a line of a study"))
    };
    lines.lines().map(study).collect()
}

fn as_table(studies: &[Study]) -> String {
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
    fn what_is_no_line_is_refused() {
        let error = parse("{}").expect_err("no study").to_string();
        assert_eq!(error, "`{}` is not a line of a study");
    }
}
