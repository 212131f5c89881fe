//! Steps that from-scratch needs for the accuracy of the learngene's descendant.

use super::{Finding, Verdict};
use crate::{
    data::{Convergence, Experiment, Measure, Report},
    text::{count, thousands},
};

/// Least ratio that this project counts as a speed-up worth the name.
const WANTED: f64 = 3.0;

pub(super) fn judge(experiment: &Experiment, report: &Report) -> Vec<Finding> {
    let finding = |convergence: &Convergence| {
        let Convergence { ancestor, column, target, ratio, reached, .. } = convergence;
        let name = report.ancestor(ancestor).map_or(&**ancestor, |ancestor| &ancestor.name);
        let place = match column.strip_prefix(name) {
            Some(rest) => rest.to_owned(),
            None => format!(", {column}"),
        };
        let digits = experiment.digits(Measure::Top1);
        let (learngene, scratch) =
            (thousands(convergence.learngene_steps), thousands(convergence.scratch_steps));
        let what = if *reached {
            format!("from scratch got there after {scratch}: ratio {ratio:.1}")
        } else {
            format!(
                "from scratch never did in its {scratch}: ratio at least {ratio:.1}, a lower bound"
            )
        };
        let runs =
            |method| experiment.first_by(method, column, ancestor).map_or(0, |m| m.runs.len());
        let (ours, theirs) = (runs("cluster-learngene"), runs("from-scratch"));
        let verdict = match (*ratio >= WANTED, reached) {
            _ if ours.min(theirs) < 2 => Verdict::NotDecided,
            (true, _) => Verdict::Holds,
            (false, true) => Verdict::DoesNotHold,
            // The budget ended first: the ratio may be any larger one.
            (false, false) => Verdict::NotDecided,
        };
        Finding {
            verdict,
            claim: format!(
                "From scratch needs at least {WANTED:.0} times the steps for the accuracy of the \
                 descendant of {name}{place}"
            ),
            evidence: format!(
                "The descendant reached {} % after {learngene} steps (mean of {}), {what} (mean of {}).",
                digits.value(*target),
                count(ours, "run", "runs"),
                count(theirs, "run", "runs"),
            ),
            experiment: experiment.id.clone(),
        }
    };
    experiment.convergence.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{data::Cell, fixture::parse_changed};

    /// Verdict on the fixture's Swin when every run has these accuracies after 16, 32, ... steps.
    #[track_caller]
    fn check(learngene: &[f64], scratch: &[f64], want: Verdict, words: &str) {
        let report = parse_changed(|report| {
            let experiments = report["experiments"].as_array_mut().expect("a list");
            let curves = experiments.iter_mut().find(|e| e["id"] == "fig8_curves");
            replace(curves.expect("Fig. 8"), learngene, scratch);
        });
        let report = report.expect("the change leaves a report");
        let experiment = report.experiments.iter().find(|e| e.id == "fig8_curves").expect("Fig. 8");
        let findings = judge(experiment, &report);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].verdict, want);
        assert!(findings[0].evidence.contains(words), "{}", findings[0].evidence);
    }

    fn replace(experiment: &mut Value, learngene: &[f64], scratch: &[f64]) {
        for (cell, curve) in [(0, learngene), (1, scratch)] {
            let evaluation =
                |(i, top1)| json!({ "step": 16 * (i + 1), "epoch": i + 1, "top1": top1 });
            let evaluations: Vec<Value> = curve.iter().enumerate().map(evaluation).collect();
            let runs = experiment["cells"][cell]["outcome"]["run"]["runs"].as_array_mut();
            for run in runs.expect("a list") {
                run["evaluations"] = json!(evaluations);
            }
        }
        let cells: Vec<Cell> = serde_json::from_value(experiment["cells"].clone()).expect("cells");
        let (ours, theirs) = (cells[0].measured().expect("run"), cells[1].measured().expect("run"));
        let found = Convergence::of("desk-swin", "desk Swin", ours, theirs).expect("curves");
        experiment["convergence"][0] = serde_json::to_value(found).expect("plain data");
    }

    #[test]
    fn three_times_the_steps_hold() {
        check(&[50.0], &[10.0, 20.0, 50.0], Verdict::Holds, "there after 48: ratio 3.0 ");
    }

    #[test]
    fn fewer_do_not() {
        check(&[50.0], &[10.0, 50.0, 60.0], Verdict::DoesNotHold, "there after 32: ratio 2.0 ");
    }

    #[test]
    fn a_bound_of_three_holds_too() {
        let words = "never did in its 48: ratio at least 3.0, a lower bound";
        check(&[50.0], &[10.0, 20.0, 30.0], Verdict::Holds, words);
    }

    #[test]
    fn a_smaller_bound_decides_nothing() {
        let words = "never did in its 32: ratio at least 2.0, a lower bound";
        check(&[50.0], &[10.0, 20.0], Verdict::NotDecided, words);
    }
}
