//! Cells: their values are what their runs say.

use super::{
    Check, close, filled, positive,
    runs::{self, ancestor, value},
    wanted,
};
use crate::{
    data::{Cell, Kind, Measured, Model, Outcome, Report},
    stats::Spread,
};

pub(super) fn check(cell: &Cell, kind: Kind, report: &Report, place: &str) -> Check {
    let field = |field: &str| format!("{place}.{field}");
    filled(&field("row"), &cell.row)?;
    filled(&field("column"), &cell.column)?;
    if let Some(paper) = &cell.paper {
        value(&field("paper.value"), paper.value, cell.measure)?;
        filled(&field("paper.source"), &paper.source)?;
    }
    match &cell.outcome {
        Outcome::NotRun { reason } => filled(&field("outcome.not-run.reason"), reason),
        Outcome::Run(measured) => {
            let place = field("outcome.run");
            check_measured(measured, cell, &place)?;
            if let Some(model) = &measured.model {
                check_model(model, report, &format!("{place}.model"))?;
            }
            check_kind(measured, kind, &place)
        }
    }
}

fn check_measured(measured: &Measured, cell: &Cell, place: &str) -> Check {
    let field = |field: &str| format!("{place}.{field}");
    runs::check(&measured.runs, cell.measure, &field("runs"))?;
    let Some(spread) = Spread::of(measured.runs.iter().map(|run| run.value)) else {
        return wanted(false, field("runs"), "empty", "at least one run");
    };
    close(&field("mean"), measured.mean, spread.mean, "the mean of its runs")?;
    match (measured.std, spread.std) {
        (Some(got), Some(want)) => {
            close(&field("std"), got, want, "the sample standard deviation of its runs")?;
        }
        (None, None) => (),
        (Some(got), None) => wanted(false, field("std"), got, "null for one run")?,
        (None, Some(want)) => wanted(
            false,
            field("std"),
            "null",
            format!("{want}, the sample standard deviation of its runs"),
        )?,
    }
    let want = cell.paper.as_ref().map(|paper| measured.mean - paper.value);
    match (measured.difference, want) {
        (Some(got), Some(want)) => {
            close(&field("difference"), got, want, "mean minus the paper's value")
        }
        (None, None) => Ok(()),
        (Some(got), None) => {
            wanted(false, field("difference"), got, "null without a value of the paper")
        }
        (None, Some(want)) => {
            let wants = format!("{want}, mean minus the paper's value");
            wanted(false, field("difference"), "null", wants)
        }
    }
}

fn check_model(model: &Model, report: &Report, place: &str) -> Check {
    let field = |field: &str| format!("{place}.{field}");
    ancestor(&field("ancestor"), &model.ancestor, report)?;
    filled(&field("method"), &model.method)?;
    positive(&field("depth"), model.depth as u64)?;
    super::length(&field("heads"), model.heads.len(), model.depth, "layers")?;
    for (layer, &heads) in model.heads.iter().enumerate() {
        positive(&field(&format!("heads[{layer}]")), heads as u64)?;
    }
    positive(&field("params"), model.params)?;
    positive(&field("macs"), model.macs)?;
    model.stored_params.map_or(Ok(()), |stored| positive(&field("stored_params"), stored))
}

/// What a figure is drawn from is there: it leaves no cell out in silence.
fn check_kind(measured: &Measured, kind: Kind, place: &str) -> Check {
    let model = measured.model.as_ref();
    let field = format!("{place}.model");
    match kind {
        Kind::Table | Kind::Densities | Kind::Attention => Ok(()),
        Kind::Scale => wanted(model.is_some(), field, "null", "the model, for its parameters"),
        Kind::Sizes => {
            let has_size = model.is_some_and(|model| model.stored_params.is_some());
            let got = if model.is_some() { "without stored_params" } else { "null" };
            wanted(has_size, field, got, "the model with stored_params, for the figure's axis")
        }
        Kind::Curves => {
            let field = format!("{place}.runs[0].evaluations");
            wanted(!measured.curve().is_empty(), field, "empty", "evaluations, for the curve")
        }
    }
}
