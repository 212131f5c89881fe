//! Experiments but for their cells.

use super::{
    Check, Invalid, cells, close, filled, magnitude, name, percent, positive, runs, wanted,
};
use crate::data::{Convergence, Data, Experiment, Kind, Recipe, Report};

pub(super) fn check(experiment: &Experiment, report: &Report, place: &str) -> Check {
    let field = |field: &str| format!("{place}.{field}");
    name(&field("id"), &experiment.id)?;
    filled(&field("title"), &experiment.title)?;
    experiment.data.as_ref().map_or(Ok(()), |data| check_data(data, &field("data")))?;
    experiment.recipe.as_ref().map_or(Ok(()), |recipe| check_recipe(recipe, &field("recipe")))?;
    // Drawn from the ancestors, these need no cells of their own.
    let is_drawn = matches!(experiment.kind, Kind::Densities | Kind::Attention);
    let has_cells = is_drawn || !experiment.cells.is_empty();
    wanted(has_cells, field("cells"), "empty", "at least one cell")?;
    for (index, cell) in experiment.cells.iter().enumerate() {
        let place = field(&format!("cells[{index}]"));
        let known = || (&cell.row, &cell.column, cell.measure);
        let mut earlier = experiment.cells[..index].iter();
        let is_new = earlier.all(|other| (&other.row, &other.column, other.measure) != known());
        let got = format!("`{}`, `{}` once more", cell.row, cell.column);
        wanted(is_new, &place, got, "one cell for each row, column and measure")?;
        cells::check(cell, experiment.kind, report, &place)?;
    }
    check_training(experiment, place)?;
    for (index, convergence) in experiment.convergence.iter().enumerate() {
        let place = field(&format!("convergence[{index}]"));
        check_convergence(convergence, experiment, report, &place)?;
    }
    Ok(())
}

fn check_data(data: &Data, place: &str) -> Check {
    filled(&format!("{place}.name"), &data.name)?;
    positive(&format!("{place}.train_images"), data.train_images)?;
    positive(&format!("{place}.test_images"), data.test_images)?;
    positive(&format!("{place}.classes"), data.classes)
}

fn check_recipe(recipe: &Recipe, place: &str) -> Check {
    filled(&format!("{place}.file"), &recipe.file)?;
    positive(&format!("{place}.epochs"), recipe.epochs)?;
    positive(&format!("{place}.batch_size"), recipe.batch_size)?;
    positive(&format!("{place}.steps"), recipe.steps)
}

/// Curves say on which images and by which recipe.
fn check_training(experiment: &Experiment, place: &str) -> Check {
    let mut runs = experiment.run_cells().flat_map(|(_, measured)| &measured.runs);
    let is_trained = runs.any(|run| !run.evaluations.is_empty());
    let told = |is_there: bool, what: &str| {
        let why = "the one of its training: there are evaluations";
        wanted(is_there || !is_trained, format!("{place}.{what}"), "null", why)
    };
    told(experiment.data.is_some(), "data")?;
    told(experiment.recipe.is_some(), "recipe")
}

fn check_convergence(
    got: &Convergence,
    experiment: &Experiment,
    report: &Report,
    place: &str,
) -> Check {
    let field = |field: &str| format!("{place}.{field}");
    runs::ancestor(&field("ancestor"), &got.ancestor, report)?;
    let curve = |method| experiment.first_by(method, &got.column, &got.ancestor);
    let (learngene, scratch) = (curve("cluster-learngene"), curve("from-scratch"));
    let found = learngene
        .zip(scratch)
        .and_then(|(learngene, scratch)| {
            Convergence::of(&got.ancestor, &got.column, learngene, scratch)
        })
        .ok_or_else(|| Invalid {
            field: field("column"),
            got: format!("`{}`", got.column),
            wanted: format!(
                "a column with curves of cluster-learngene and from-scratch for {}",
                got.ancestor
            ),
        })?;
    percent(&field("target"), got.target)?;
    magnitude(&field("ratio"), got.ratio)?;
    let of_cells = "by the curves of its cells";
    close(&field("target"), got.target, found.target, of_cells)?;
    let steps = |what: &str, got: u64, found: u64| {
        wanted(got == found, field(what), got, format!("{found}, {of_cells}"))
    };
    steps("learngene_steps", got.learngene_steps, found.learngene_steps)?;
    steps("scratch_steps", got.scratch_steps, found.scratch_steps)?;
    let wants = format!("{}, {of_cells}", found.reached);
    wanted(got.reached == found.reached, field("reached"), got.reached, wants)?;
    close(&field("ratio"), got.ratio, found.ratio, "scratch_steps / learngene_steps")
}
