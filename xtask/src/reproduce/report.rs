//! `report.json`, put together.

use std::collections::BTreeMap;

use learngene_report::data::{
    Ancestor, AttentionMap, Cell, Data, Experiment, Kind, Outcome, Recipe, Report, Scale, VERSION,
};

use super::{convergence, experiment, measure::not_run};

/// What holds for all numbers.
const NOTES: [&str; 5] = [
    "A top-1 is that of a run's last evaluation, so nothing is chosen on test images: learning rates \
     were chosen on held-out training images (cargo xtask tune), with the same search for each method; on other images than those of the search the same rates are used.",
    "A learning rate is for a batch of 512 and scaled with the batch, as DeiT does: a batch of 32 learns \
     at a sixteenth of it.",
    "A linear probe is a ridge regression on the features of all training images before any training. Few \
     steps with a fresh classifier end below it where features are good: compare methods in one column, \
     not a top-1 with a probe.",
    "At the scale of a desk models and images are small ones of this project, not the paper's: its \
     figures show what to expect there, not here.",
    "A cell without a run says so, with the reason.",
];

/// An experiment with what came of its cells so far.
pub(crate) struct Found<'a> {
    pub(crate) experiment: &'a experiment::Experiment,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) data: Option<Data>,
    pub(crate) recipe: Option<Recipe>,
    /// Attention maps by the names of their ancestors.
    pub(crate) maps: BTreeMap<String, Vec<AttentionMap>>,
}

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
        experiments: found.iter().map(experiment_of).collect(),
        notes: NOTES.map(str::to_owned).to_vec(),
    }
}

fn experiment_of(found: &Found<'_>) -> Experiment {
    let told = found.experiment;
    let cell = |(cell, outcome): (&experiment::Cell, &Outcome)| Cell {
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

fn is_of(cell: &experiment::Cell, outcome: &Outcome, ancestor: &str) -> bool {
    let settings = [Scale::Desk, Scale::Paper].map(|scale| cell.setting(scale));
    let names_it = settings.iter().any(|setting| setting.ancestor.as_deref() == Some(ancestor));
    matches!(outcome, Outcome::Run(_)) && names_it
}
