//! `report.json`, put together and checked.

use anyhow::{Result, ensure};
use learngene_report::data::{Ancestor, Cell, Experiment, Kind, Outcome, Report, Scale, VERSION};

use super::{convergence, measure::not_run, reproduction::Found};

/// What holds for all numbers.
const NOTES: [&str; 3] = [
    "A top-1 is that of a run's last evaluation, so nothing is chosen on test images: learning rates \
     were chosen on held-out training images (cargo xtask tune), with the same search for each method.",
    "At the scale of a desk models and images are small ones of this project, not the paper's: its \
     figures show what to expect there, not here.",
    "A cell without a run says so, with the reason.",
];

/// Puts the report together.
pub(crate) fn report(
    command: String,
    commit: Option<String>,
    scale: Scale,
    ancestors: Vec<Ancestor>,
    found: &[Found<'_>],
) -> Report {
    Report {
        version: VERSION,
        producer: concat!("xtask ", env!("CARGO_PKG_VERSION")).to_owned(),
        commit,
        command,
        scale,
        ancestors,
        experiments: found.iter().map(experiment).collect(),
        notes: NOTES.map(str::to_owned).to_vec(),
    }
}

fn experiment(found: &Found<'_>) -> Experiment {
    let told = found.experiment;
    let cell = |(cell, outcome): (&super::experiment::Cell, &Outcome)| Cell {
        row: cell.row.clone(),
        column: cell.column.clone(),
        measure: cell.measure,
        paper: cell.cited.clone(),
        outcome: outcome.clone(),
    };
    let cells: Vec<Cell> = told.cells.iter().zip(&found.outcomes).map(cell).collect();
    let convergence = match told.kind {
        Kind::Curves => convergence::of(&cells),
        _ => Vec::new(),
    };
    Experiment {
        id: told.id.clone(),
        item: told.item.clone(),
        title: told.title.clone(),
        about: told.about.clone(),
        kind: told.kind,
        data: found.data.clone(),
        recipe: found.recipe.clone(),
        full_scale: told.full.clone(),
        cells,
        convergence,
    }
}

/// Whether a cell shows a descendant of this ancestor, or a figure that is drawn from it.
pub(crate) fn uses(found: &[Found<'_>], ancestor: &str) -> bool {
    found.iter().any(|found| {
        let cells = found.experiment.cells.iter().zip(&found.outcomes);
        cells.into_iter().any(|(cell, outcome)| is_of(cell, outcome, ancestor))
    })
}

/// Turns cells of an ancestor that cannot be described into such as were not run.
pub(crate) fn leave_out(found: &mut [Found<'_>], ancestor: &str, error: &anyhow::Error) {
    for found in found {
        for (cell, outcome) in found.experiment.cells.iter().zip(&mut found.outcomes) {
            if is_of(cell, outcome, ancestor) {
                *outcome = not_run(error);
            }
        }
    }
}

fn is_of(cell: &super::experiment::Cell, outcome: &Outcome, ancestor: &str) -> bool {
    let settings = [Scale::Desk, Scale::Paper].map(|scale| cell.setting(scale));
    let names_it = settings.iter().any(|setting| setting.ancestor.as_deref() == Some(ancestor));
    matches!(outcome, Outcome::Run(_)) && names_it
}

/// Refuses a value without a run behind it.
///
/// # Errors
/// When a cell's value is not that of runs with keys and commands.
pub(crate) fn check(report: &Report) -> Result<()> {
    for experiment in &report.experiments {
        for cell in &experiment.cells {
            let Outcome::Run(measured) = &cell.outcome else { continue };
            let place = format!("{}: {}, {}", experiment.id, cell.row, cell.column);
            let runs = &measured.runs;
            ensure!(!runs.is_empty(), "{place}: a value without a run");
            let is_told = runs.iter().all(|run| run.key.len() == 64 && !run.commands.is_empty());
            ensure!(is_told, "{place}: a run without its key or commands");
            let mean = runs.iter().map(|run| run.value).sum::<f64>() / runs.len() as f64;
            ensure!(
                measured.mean == mean,
                "{place}: {} is not the mean of its runs",
                measured.mean
            );
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use learngene_report::data::{FullScale, Measure, Measured, Run};

    use super::*;

    /// A report of one cell.
    pub(crate) fn report_of(outcome: Outcome) -> Report {
        let cell = Cell {
            row: "ours".into(),
            column: "desk ViT".into(),
            measure: Measure::Top1,
            paper: None,
            outcome,
        };
        let experiment = Experiment {
            id: "order".into(),
            item: None,
            title: "Order".into(),
            about: "Orders.".into(),
            kind: Kind::Table,
            data: None,
            recipe: None,
            full_scale: FullScale { needs: String::new(), commands: Vec::new() },
            cells: vec![cell],
            convergence: Vec::new(),
        };
        let mut report = report(String::new(), None, Scale::Desk, Vec::new(), &[]);
        report.experiments.push(experiment);
        report
    }

    pub(crate) fn measured() -> Measured {
        let run = |seed, value| Run {
            seed,
            value,
            key: "0".repeat(64),
            code: "1".repeat(64),
            commands: vec!["learngene train".into()],
            evaluations: Vec::new(),
            linear_probe: Some(20.0),
            knn: None,
            learning_rate: Some(0.01),
        };
        let runs = vec![run(0, 30.0), run(1, 40.0)];
        Measured { mean: 35.0, std: Some(7.1), difference: None, model: None, runs }
    }

    fn check_error(measured: Measured, expected: &str) {
        let error = check(&report_of(Outcome::Run(measured))).expect_err(expected);
        assert_eq!(error.to_string(), format!("order: ours, desk ViT: {expected}"));
    }

    #[test]
    fn a_value_without_a_run_is_refused() {
        check(&report_of(Outcome::Run(measured()))).expect("two runs");
        check(&report_of(Outcome::NotRun { reason: "no data".into() })).expect("no value");
        check_error(Measured { runs: Vec::new(), ..measured() }, "a value without a run");
        check_error(Measured { mean: 36.0, ..measured() }, "36 is not the mean of its runs");
        let mut of_nowhere = measured();
        of_nowhere.runs[1].key.clear();
        check_error(of_nowhere, "a run without its key or commands");
    }
}
