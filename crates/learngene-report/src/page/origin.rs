//! How the numbers were made: command, commit, notes.

use std::fmt::{self, Write};

use super::{commands, facts};
use crate::{data::Report, grid::unique, text::Text};

pub(super) fn write(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "<p>One command makes all of it again:</p>")?;
    commands(out, std::slice::from_ref(&report.command))?;
    let runs = report.experiments.iter().flat_map(|experiment| experiment.run_cells());
    let codes = unique(runs.flat_map(|(_, measured)| &measured.runs).map(|run| &*run.code));
    let mut told = vec![
        ("Commit", report.commit.clone().unwrap_or_else(|| "not known".into())),
        ("Written by", format!("{}, report.json version {}", report.producer, report.version)),
    ];
    if !codes.is_empty() {
        told.push(("Sources that ran (SHA-256)", codes.join(" ")));
    }
    facts(out, &told)?;
    if report.notes.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h3>Notes</h3>\n<ul>")?;
    for note in &report.notes {
        writeln!(out, "<li>{}</li>", Text(note))?;
    }
    writeln!(out, "</ul>")
}
