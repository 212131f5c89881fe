//! The learngene beside every other way to make a model of the same size.

use super::{Finding, Verdict};
use crate::{
    data::{Cell, Experiment, Measure, Measured, Model},
    grid::unique,
    text::{count, shared_start},
};

const OURS: &str = "cluster-learngene";

/// A value with the model behind it.
type Of<'a> = (&'a Cell, &'a Measured, &'a Model);

/// One finding for each method that the learngene meets in a column, at the same size.
pub(super) fn judge(experiment: &Experiment) -> Vec<Finding> {
    let top1: Vec<Of> = experiment
        .run_cells()
        .filter(|(cell, _)| cell.measure == Measure::Top1)
        .filter_map(|(cell, measured)| Some((cell, measured, measured.model.as_ref()?)))
        .collect();
    let others = top1.iter().map(|(_, _, model)| &*model.method).filter(|method| *method != OURS);
    unique(others).into_iter().filter_map(|other| judge_one(experiment, &top1, other)).collect()
}

fn judge_one(experiment: &Experiment, top1: &[Of], other: &str) -> Option<Finding> {
    let by = |method| top1.iter().filter(move |(_, _, model)| model.method == method);
    let pairs: Vec<(&Of, &Of)> = by(OURS)
        .flat_map(|ours| by(other).map(move |theirs| (ours, theirs)))
        .filter(|(ours, theirs)| ours.0.column == theirs.0.column && is_alike(ours.2, theirs.2))
        .collect();
    let difference = |(ours, theirs): &(&Of, &Of)| ours.1.mean - theirs.1.mean;
    let judged = pairs
        .iter()
        .map(|pair| Verdict::of(difference(pair), pair.0.1.spread().half_width(pair.1.1.spread())));
    let verdicts: Vec<Verdict> = judged.collect();
    let name = together(&unique(pairs.iter().map(|(_, theirs)| &*theirs.0.row)))?;
    Some(Finding {
        verdict: Verdict::of_all(&verdicts),
        claim: format!("The learngene beats {name} in {}", experiment.short_name()),
        evidence: evidence(experiment, &pairs, &verdicts),
        experiment: experiment.id.clone(),
    })
}

/// What rows of one method are called together: `From-Scratch` where there are `From-Scratch, w = 1` and
/// `From-Scratch, w = 2`.
fn together<'a>(rows: &[&'a str]) -> Option<&'a str> {
    let shared = shared_start(rows.iter().copied()).trim_end_matches(", ");
    match rows {
        [_, _, ..] if !shared.is_empty() => Some(shared),
        _ => rows.first().copied(),
    }
}

/// Whether two models of one ancestor have the same number of parameters, within a percent.
fn is_alike(one: &Model, other: &Model) -> bool {
    let difference = one.params.abs_diff(other.params);
    one.ancestor == other.ancestor && 100 * difference <= one.params.max(other.params)
}

fn evidence(experiment: &Experiment, pairs: &[(&Of, &Of)], verdicts: &[Verdict]) -> String {
    let digits = experiment.digits(Measure::Top1);
    if let ([(ours, theirs)], [verdict]) = (pairs, verdicts) {
        let more = match verdict {
            Verdict::NotDecided => "; the spread of one run is not known",
            _ => "",
        };
        return format!(
            "{}: {} against {}, {} points{more}.",
            ours.0.column,
            digits.with_unit(ours.1.spread()),
            digits.with_unit(theirs.1.spread()),
            digits.difference(ours.1.mean - theirs.1.mean),
        );
    }
    let differences = || pairs.iter().map(|(ours, theirs)| ours.1.mean - theirs.1.mean);
    let (low, high) =
        (differences().fold(f64::MAX, f64::min), differences().fold(f64::MIN, f64::max));
    let of = |verdict: Verdict, words: &str| {
        let number = verdicts.iter().filter(|&&other| other == verdict).count();
        (number > 0).then(|| format!("{number} {words}"))
    };
    let parts = [
        of(Verdict::Holds, "above"),
        of(Verdict::NoDifference, "with no difference shown"),
        of(Verdict::DoesNotHold, "below"),
        of(Verdict::NotDecided, "not decided, as one run has no known spread"),
    ];
    format!(
        "{}: {}; differences from {} to {} points.",
        count(pairs.len(), "comparison", "comparisons"),
        parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        digits.difference(low),
        digits.difference(high),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::parse_changed;

    /// What is found about Table 1 of the fixture after a change of its cells.
    fn judged(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
        let report = parse_changed(|report| change(&mut report["experiments"][1]["cells"]));
        judge(&report.expect("the change leaves a report").experiments[1])
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), verdict: Verdict, evidence: &str) {
        let findings = judged(change);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].claim, "The learngene beats From-Scratch in Table 1");
        assert_eq!((findings[0].verdict, &*findings[0].evidence), (verdict, evidence));
    }

    /// Gives the learngene's runs values around a mean, 1 above it and 1 below.
    fn around(cells: &mut Value, mean: f64) {
        let run = &mut cells[2]["outcome"]["run"];
        run["mean"] = json!(mean);
        (run["runs"][0]["value"], run["runs"][1]["value"]) = (json!(mean - 1.0), json!(mean + 1.0));
    }

    #[test]
    fn far_above_holds() {
        let evidence = "desk ViT: 59.0 ± 1.4 % against 42.2 ± 2.8 %, +16.8 points.";
        check(|_| (), Verdict::Holds, evidence);
    }

    #[test]
    fn far_below_does_not() {
        let evidence = "desk ViT: 30.2 ± 1.4 % against 42.2 ± 2.8 %, −12.0 points.";
        check(|cells| around(cells, 30.2), Verdict::DoesNotHold, evidence);
    }

    #[test]
    fn a_little_above_shows_no_difference() {
        // Pooled variance 5, t of 2 degrees 4.303: 9.62.
        let evidence = "desk ViT: 45.3 ± 1.4 % against 42.2 ± 2.8 %, +3.1 points.";
        check(|cells| around(cells, 45.3), Verdict::NoDifference, evidence);
    }

    #[test]
    fn one_run_decides_nothing() {
        let one_run = |cells: &mut Value| {
            let run = &mut cells[2]["outcome"]["run"];
            run["runs"].as_array_mut().expect("a list").truncate(1);
            (run["mean"], run["std"]) = (json!(58.0), Value::Null);
        };
        let evidence = "desk ViT: 58.0 % against 42.2 ± 2.8 %, +15.8 points; the spread of one run \
                        is not known.";
        check(one_run, Verdict::NotDecided, evidence);
    }

    #[test]
    fn rows_are_called_what_they_share() {
        assert_eq!(together(&["From-Scratch, w = 1"]), Some("From-Scratch, w = 1"));
        let rows = ["From-Scratch, w = 1", "From-Scratch, w = 2"];
        assert_eq!(together(&rows), Some("From-Scratch"));
        assert_eq!(together(&["first", "second"]), Some("first"));
        assert_eq!(together(&[]), None);
    }

    #[test]
    fn other_sizes_and_columns_are_not_compared() {
        let params = judged(|cells| {
            let model = &mut cells[2]["outcome"]["run"]["model"];
            model["params"] = json!(model["params"].as_u64().expect("a number") * 49 / 50);
        });
        assert_eq!(params, []);
        assert_eq!(judged(|cells| cells[2]["column"] = json!("another")), []);
    }
}
