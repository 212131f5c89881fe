//! `learngene report`

use std::path::PathBuf;

use anyhow::Context;
use learngene_report::{Finding, Verdict, findings, read, render};
use serde::Serialize;

use crate::{files, kind::Kind, text::count};

/// Draws the report page: one HTML file with tables and figures, from the numbers of report.json.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene report target/reproduce/desk/report.json --out report.html"
)]
pub struct Args {
    /// The numbers, as `cargo xtask reproduce` writes them.
    #[arg(value_name = "REPORT.json")]
    report: PathBuf,
    /// Page to write.
    #[arg(long, value_name = "FILE", value_parser = Kind::Page.name())]
    out: PathBuf,
    /// Prints what holds, what does not and what was not run as JSON.
    #[arg(long)]
    json: bool,
}

/// What the page shows, for a program.
#[derive(Serialize)]
struct Drawn {
    page: PathBuf,
    experiments: usize,
    cells: usize,
    /// Cells with a value.
    cells_run: usize,
    findings: Vec<Finding>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    Kind::Page.prepare(&args.out, &[&args.report])?;
    let report = read(&args.report).with_context(|| {
        let report = args.report.display();
        format!("{report} is no report that `cargo xtask reproduce` wrote")
    })?;
    files::write_whole(&args.out, render(&report).as_bytes())
        .context("the page was not written")?;

    let cells = || report.experiments.iter().flat_map(|experiment| &experiment.cells);
    let drawn = Drawn {
        page: args.out,
        experiments: report.experiments.len(),
        cells: cells().count(),
        cells_run: cells().filter(|cell| cell.measured().is_some()).count(),
        findings: findings(&report),
    };
    super::print(args.json, &drawn, words)
}

fn words(drawn: &Drawn) -> String {
    let Drawn { page, experiments, cells, cells_run, findings } = drawn;
    let mut text = format!(
        "{}: {}, {cells_run} of {} run",
        page.display(),
        count(*experiments, "experiment", "experiments"),
        count(*cells, "cell", "cells"),
    );
    for Finding { verdict, claim, evidence, .. } in findings {
        if *verdict != Verdict::NotRun {
            text += &format!("\n  {}: {claim}. {evidence}", verdict.words());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const FIXTURE: &str = include_str!("../../../learngene-report/tests/fixture.json");

    fn args(folder: &TempDir, report: &str, out: &str) -> Args {
        Args { report: folder.path().join(report), out: folder.path().join(out), json: true }
    }

    #[test]
    fn the_page_is_written() -> anyhow::Result<()> {
        let folder = TempDir::new()?;
        fs::write(folder.path().join("report.json"), FIXTURE)?;
        run(args(&folder, "report.json", "report.html"))?;
        let page = fs::read_to_string(folder.path().join("report.html"))?;
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        Ok(())
    }

    #[test]
    fn a_wrong_report_leaves_the_last_page() -> anyhow::Result<()> {
        let folder = TempDir::new()?;
        let wrong = FIXTURE.replacen("\"top1\": 70.5", "\"top1\": 170.5", 1);
        fs::write(folder.path().join("report.json"), wrong)?;
        fs::write(folder.path().join("report.html"), "<!doctype html>last page")?;
        let error = run(args(&folder, "report.json", "report.html")).unwrap_err();
        assert!(format!("{error:#}").contains("ancestors[0].top1 is 170.5"), "{error:#}");
        assert_eq!(
            fs::read_to_string(folder.path().join("report.html"))?,
            "<!doctype html>last page"
        );
        Ok(())
    }

    #[test]
    fn the_report_is_not_overwritten_by_its_page() -> anyhow::Result<()> {
        let folder = TempDir::new()?;
        fs::write(folder.path().join("report.json"), FIXTURE)?;
        let error = run(args(&folder, "report.json", "report.json")).unwrap_err().to_string();
        assert!(error.contains("is read, so choose another --out"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("report.json"))?, FIXTURE);
        Ok(())
    }

    #[test]
    fn findings_are_printed_with_their_numbers_and_what_was_not_run_in_cells() {
        let finding = |verdict, claim: &str| Finding {
            verdict,
            claim: claim.into(),
            evidence: "5 points.".into(),
            experiment: "table5".into(),
        };
        let text = words(&Drawn {
            page: "report.html".into(),
            experiments: 1,
            cells: 4,
            cells_run: 3,
            findings: vec![finding(Verdict::Holds, "It is best"), finding(Verdict::NotRun, "Some")],
        });
        let want = "report.html: 1 experiment, 3 of 4 cells run\n  holds: It is best. 5 points.";
        assert_eq!(text, want);
    }
}
