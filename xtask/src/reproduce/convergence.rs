//! Convergence: steps that from-scratch needs for the accuracy of the descendant.

use learngene_report::data::{Cell, Convergence, Measured, Outcome};

/// One for each column that holds both a learngene's descendant and a model from scratch.
pub(crate) fn of(cells: &[Cell]) -> Vec<Convergence> {
    let mut columns: Vec<&str> = cells.iter().map(|cell| cell.column.as_str()).collect();
    columns.dedup();
    let mut seen = Vec::new();
    columns.retain(|column| {
        !seen.contains(column) && {
            seen.push(*column);
            true
        }
    });
    columns.into_iter().filter_map(|column| of_column(cells, column)).collect()
}

fn of_column(cells: &[Cell], column: &str) -> Option<Convergence> {
    let find = |method: &str| {
        let in_column = cells.iter().filter(|cell| cell.column == column);
        let runs = in_column.filter_map(|cell| match &cell.outcome {
            Outcome::Run(measured) => Some(measured),
            Outcome::NotRun { .. } => None,
        });
        runs.into_iter()
            .find(|measured| measured.model.as_ref().is_some_and(|model| model.method == method))
    };
    let (ours, scratch) = (find("cluster-learngene")?, find("from-scratch")?);
    let curve = mean_curve(scratch);
    let (learngene_steps, target) = *mean_curve(ours).last()?;
    let (budget, _) = *curve.last()?;
    let reached = curve.iter().find(|(_, top1)| *top1 >= target).map(|(step, _)| *step);
    let scratch_steps = reached.unwrap_or(budget);
    Some(Convergence {
        ancestor: ours.model.as_ref()?.ancestor.clone(),
        column: column.to_owned(),
        target,
        learngene_steps,
        scratch_steps,
        reached: reached.is_some(),
        ratio: scratch_steps as f64 / learngene_steps as f64,
    })
}

/// Steps and mean top-1 of the evaluations that all runs have in common.
fn mean_curve(measured: &Measured) -> Vec<(u64, f64)> {
    let Some((first, rest)) = measured.runs.split_first() else { return Vec::new() };
    let mean = |step: u64, top1: f64| {
        let at_step = rest.iter().map(|run| {
            run.evaluations.iter().find(|evaluation| evaluation.step == step).map(|e| e.top1)
        });
        let sum = top1 + at_step.sum::<Option<f64>>()?;
        Some((step, sum / measured.runs.len() as f64))
    };
    first.evaluations.iter().filter_map(|e| mean(e.step, e.top1)).collect()
}

#[cfg(test)]
mod tests {
    use learngene_report::data::{Evaluation, Measure, Model, Run};

    use super::*;

    /// A cell of runs with an evaluation every ten steps.
    fn cell(column: &str, method: &str, runs: &[&[f64]]) -> Cell {
        let run = |top1: &&[f64]| {
            let evaluations: Vec<Evaluation> = (1..)
                .zip(*top1)
                .map(|(n, top1)| Evaluation { step: 10 * n, epoch: 0.5, top1: *top1 })
                .collect();
            Run {
                seed: 0,
                value: *top1.last().expect("an evaluation"),
                key: String::new(),
                code: String::new(),
                commands: Vec::new(),
                evaluations,
                linear_probe: None,
                knn: None,
                learning_rate: None,
            }
        };
        let model = Model {
            ancestor: "desk-vit".into(),
            method: method.into(),
            depth: 1,
            heads: vec![1],
            params: 1,
            inherited_params: 1,
            macs: 1,
            stored_params: None,
        };
        let runs: Vec<Run> = runs.iter().map(run).collect();
        let measured =
            Measured { mean: 0.0, std: None, difference: None, model: Some(model), runs };
        Cell {
            row: method.into(),
            column: column.into(),
            measure: Measure::Top1,
            paper: None,
            outcome: Outcome::Run(measured),
        }
    }

    fn check(ours: &[&[f64]], scratch: &[&[f64]], steps: u64, reached: bool, ratio: f64) {
        let cells = [cell("a", "cluster-learngene", ours), cell("a", "from-scratch", scratch)];
        let [found] = &of(&cells)[..] else { panic!("one column") };
        assert_eq!((found.scratch_steps, found.reached, found.ratio), (steps, reached, ratio));
    }

    #[test]
    fn the_first_step_at_which_scratch_is_as_good_counts() {
        check(&[&[20.0, 30.0]], &[&[10.0, 20.0, 25.0, 30.0, 28.0, 31.0]], 40, true, 2.0);
    }

    #[test]
    fn where_scratch_never_gets_there_its_budget_is_a_lower_bound() {
        check(&[&[20.0, 30.0]], &[&[10.0, 20.0, 29.9]], 30, false, 1.5);
    }

    #[test]
    fn means_over_seeds_are_compared() {
        check(&[&[30.0], &[20.0]], &[&[10.0, 40.0], &[20.0, 12.0]], 20, true, 2.0);
        check(&[&[30.0], &[20.0]], &[&[10.0, 30.0], &[20.0, 12.0]], 20, false, 2.0);
    }

    #[test]
    fn a_column_without_both_has_no_ratio() {
        assert_eq!(of(&[cell("a", "cluster-learngene", &[&[1.0]])]), []);
        let cells =
            [cell("a", "cluster-learngene", &[&[1.0]]), cell("b", "from-scratch", &[&[1.0]])];
        assert_eq!(of(&cells), []);
    }
}
