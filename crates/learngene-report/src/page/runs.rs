//! Every run, with the commands that make it again.

use std::fmt::{self, Write};

use super::commands;
use crate::{
    data::{Cell, Experiment, Measured},
    text::{Text, count},
};

/// Writes the folded list of runs, where there are any.
pub(super) fn write(out: &mut String, experiment: &Experiment) -> fmt::Result {
    let runs: usize = experiment.run_cells().map(|(_, measured)| measured.runs.len()).sum();
    if runs == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "<details class=\"copy\"><summary>{} of {}, with commands</summary>",
        count(runs, "run", "runs"),
        Text(experiment.short_name()),
    )?;
    for (cell, measured) in experiment.run_cells() {
        write_cell(out, experiment, cell, measured)?;
    }
    writeln!(out, "</details>")
}

fn write_cell(
    out: &mut String,
    experiment: &Experiment,
    cell: &Cell,
    measured: &Measured,
) -> fmt::Result {
    let digits = experiment.digits(cell.measure);
    writeln!(
        out,
        "<h3>{}, {} <small>{}</small></h3><ul class=\"commands\">",
        Text(&cell.row),
        Text(&cell.column),
        cell.measure.title(),
    )?;
    for run in &measured.runs {
        let rate = run
            .learning_rate
            .map_or(String::new(), |rate| format!(", learning rate {rate} for a batch of 512"));
        write!(
            out,
            "<li>Seed {}: <strong>{}</strong>{rate} <small class=\"key\">key <code>{}</code></small>",
            run.seed,
            digits.value(run.value),
            Text(&run.key),
        )?;
        commands(out, &run.commands)?;
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ul>")
}
