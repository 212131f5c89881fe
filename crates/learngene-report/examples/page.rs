//! Draws the page of a report: `page REPORT.json PAGE.html`, as `learngene report` does, without
//! building the program.

use std::{error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(report), Some(page)) = (paths.next(), paths.next()) else {
        return Err("wanted: REPORT.json PAGE.html".into());
    };
    std::fs::write(page, learngene_report::render(&learngene_report::read(&report)?))?;
    Ok(())
}
