//! Convergence: steps that from-scratch needs for the accuracy of the descendant.

use learngene_report::data::{Cell, Convergence, Outcome};

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
    Convergence::of(&ours.model.as_ref()?.ancestor, column, ours, scratch)
}

#[cfg(test)]
mod tests {
    use learngene_report::data::{Evaluation, Measure, Measured, Model, Run};

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

    #[test]
    fn the_cells_of_a_column_are_compared() {
        let cells = [
            cell("a", "cluster-learngene", &[&[20.0, 30.0]]),
            cell("b", "from-scratch", &[&[50.0]]),
            cell("a", "from-scratch", &[&[10.0, 20.0, 25.0, 30.0, 28.0]]),
        ];
        let [found] = &of(&cells)[..] else { panic!("one column") };
        assert_eq!((&*found.column, found.scratch_steps, found.ratio), ("a", 40, 2.0));
    }

    #[test]
    fn a_column_without_both_has_no_ratio() {
        assert_eq!(of(&[cell("a", "cluster-learngene", &[&[1.0]])]), []);
        let cells =
            [cell("a", "cluster-learngene", &[&[1.0]]), cell("b", "from-scratch", &[&[1.0]])];
        assert_eq!(of(&cells), []);
    }
}
