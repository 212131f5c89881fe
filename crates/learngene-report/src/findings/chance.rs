//! What was chosen, against as much that was drawn at random: a rank among the draws.

use super::{Finding, Verdict};
use crate::{
    data::{Cell, Experiment, Measure, Measured},
    text::count,
};

/// Rows that are compared so.
const CHOSEN: &str = "by density";
const DRAWN: &str = "at random";

/// Probability below which a rank is no luck.
const LUCK: f64 = 0.05;

/// One finding for each column in which a value that no seed changes stands beside those of draws.
///
/// Were the choice a draw like the others, its place among them would be any: it lies above all `n` with
/// probability `1 / (n + 1)`. So fewer than 19 draws cannot decide.
pub(super) fn judge(experiment: &Experiment) -> Vec<Finding> {
    let row = |name: &'static str| {
        let is_of_row = move |(cell, _): &(&Cell, &Measured)| cell.row == name;
        experiment.run_cells().filter(is_of_row).filter(|(c, _)| c.measure == Measure::LinearProbe)
    };
    let pair = |(cell, chosen): (&Cell, &Measured)| {
        let drawn = row(DRAWN).find(|(other, _)| other.column == cell.column)?.1;
        Some(judge_one(experiment, cell, chosen, drawn))
    };
    row(CHOSEN).filter_map(pair).collect()
}

fn judge_one(experiment: &Experiment, cell: &Cell, chosen: &Measured, drawn: &Measured) -> Finding {
    let draws = drawn.runs.len();
    let at_least = drawn.runs.iter().filter(|run| run.value >= chosen.mean).count();
    let at_most = drawn.runs.iter().filter(|run| run.value <= chosen.mean).count();
    let luck = |others: usize| (others + 1) as f64 / (draws + 1) as f64;
    let verdict = match () {
        () if luck(at_least) <= LUCK => Verdict::Holds,
        () if luck(at_most) <= LUCK => Verdict::DoesNotHold,
        () if luck(0) > LUCK => Verdict::NotDecided,
        () => Verdict::NoDifference,
    };
    let digits = experiment.digits(cell.measure);
    Finding {
        verdict,
        claim: format!("Heads chosen by density beat heads drawn at random, {}", cell.column),
        evidence: format!(
            "{}: {} against {} over {}, of which {at_least} did as well or better: p = {:.2}.",
            cell.measure.title(),
            digits.value(chosen.mean),
            digits.spread(drawn.spread()),
            count(draws, "draw", "draws"),
            luck(at_least),
        ),
        experiment: experiment.id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::data::{Outcome, Run};

    fn measured(values: impl IntoIterator<Item = f64>) -> Measured {
        let run = |(seed, value)| Run {
            seed,
            value,
            key: String::new(),
            code: String::new(),
            commands: Vec::new(),
            evaluations: Vec::new(),
            linear_probe: None,
            knn: None,
            learning_rate: None,
        };
        let runs: Vec<Run> = (0..).zip(values).map(run).collect();
        let spread = crate::stats::Spread::of(runs.iter().map(|run| run.value)).expect("values");
        Measured { mean: spread.mean, std: spread.std, difference: None, model: None, runs }
    }

    fn check(chosen: f64, drawn: impl IntoIterator<Item = f64>, verdict: Verdict, words: &str) {
        let cell = |(row, measured): (&str, Measured)| Cell {
            row: row.into(),
            column: "6 layers".into(),
            measure: Measure::LinearProbe,
            paper: None,
            outcome: Outcome::Run(measured),
        };
        let cells = [(CHOSEN, measured([chosen])), (DRAWN, measured(drawn))].map(cell);
        let experiment = json!({
            "id": "chance", "title": "Density against chance", "about": "", "kind": "table",
            "full_scale": {"needs": "", "commands": []}, "cells": cells, "convergence": [],
        });
        let experiment: Experiment = serde_json::from_value(experiment).expect("an experiment");
        let findings = judge(&experiment);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].verdict, verdict);
        assert!(findings[0].evidence.contains(words), "{}", findings[0].evidence);
    }

    #[test]
    fn above_all_of_nineteen_is_no_luck() {
        check(50.0, (0..19).map(f64::from), Verdict::Holds, "0 did as well or better: p = 0.05");
        check(
            -1.0,
            (0..19).map(f64::from),
            Verdict::DoesNotHold,
            "19 did as well or better: p = 1",
        );
    }

    #[test]
    fn among_them_is_any_place() {
        check(17.5, (0..19).map(f64::from), Verdict::NoDifference, "1 did as well or better");
    }

    #[test]
    fn few_draws_decide_nothing() {
        check(50.0, (0..5).map(f64::from), Verdict::NotDecided, "over 5 draws");
    }
}
