//! `learngene report`

use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;

use crate::{
    files,
    report::{self, Method, Projection, Series, compare_with, group},
};

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
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Prints means and spreads as JSON.
    #[arg(long)]
    json: bool,
}

/// What the page shows, for a program.
#[derive(Serialize)]
struct Drawn {
    page: PathBuf,
    series: Vec<Mean>,
}

/// Runs that differ in their seed alone.
#[derive(Serialize)]
struct Mean {
    item: String,
    method: Method,
    projection: Option<Projection>,
    seeds: usize,
    /// Percent, at the last evaluation.
    top1_mean: f64,
    /// Sample standard deviation; none for one seed.
    top1_std: Option<f64>,
    /// Percentage points above the same shape from scratch; none where there is no such run.
    points_over_scratch: Option<f64>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    files::prepare(&args.out, &[&args.report])?;
    let report = report::read(&args.report)?;
    files::write_whole(&args.out, report::render(&report).as_bytes())
        .context("the page was not written")?;

    let series = group(&report.rows);
    let means = series.iter().map(|one| mean(one, &series)).collect();
    super::print(args.json, &Drawn { page: args.out, series: means }, |drawn| {
        let (page, models) = (drawn.page.display(), drawn.series.len());
        format!("{page}: {} runs of {models} models", report.rows.len())
    })
}

fn mean(series: &Series, all: &[Series]) -> Mean {
    let top1 = series.final_top1();
    Mean {
        item: series.item().to_owned(),
        method: series.method(),
        projection: series.projection(),
        seeds: top1.n,
        top1_mean: top1.mean,
        top1_std: top1.std,
        points_over_scratch: compare_with(series, Method::FromScratch, all)
            .map(|comparison| comparison.points),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const FIXTURE: &str = include_str!("../report/fixture.json");

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
        fs::write(folder.path().join("report.json"), FIXTURE.replacen("58.0", "158.0", 1))?;
        fs::write(folder.path().join("report.html"), "last page")?;
        assert!(run(args(&folder, "report.json", "report.html")).is_err());
        assert_eq!(fs::read_to_string(folder.path().join("report.html"))?, "last page");
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
    fn means_go_to_programs() -> anyhow::Result<()> {
        let folder = TempDir::new()?;
        let path = folder.path().join("report.json");
        fs::write(&path, FIXTURE)?;
        let report = report::read(&path)?;
        let series = group(&report.rows);
        let mean = mean(&series[0], &series);
        assert_eq!((mean.seeds, mean.top1_mean), (2, 59.0));
        // 59.0 - 42.2
        assert!((mean.points_over_scratch.unwrap_or_default() - 16.8).abs() < 1e-9);
        Ok(())
    }
}
