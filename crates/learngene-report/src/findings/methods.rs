//! The learngene beside every other way to initialise the same shape.

use super::{Finding, Verdict, joint};
use crate::{
    data::{Cell, Experiment, Measure, Measured, Model},
    grid::unique,
    text::count,
};

const OURS: &str = "cluster-learngene";

/// A value with the model behind it.
type Of<'a> = (&'a Cell, &'a Measured, &'a Model);

/// One finding for each method that the learngene meets in a column, in the same shape.
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
        .map(|pair| Verdict::of(difference(pair), joint(pair.0.1.spread(), pair.1.1.spread())));
    let verdicts: Vec<Verdict> = judged.collect();
    let name = pairs.first().map(|(_, theirs)| theirs.0.row.clone())?;
    Some(Finding {
        verdict: Verdict::of_all(&verdicts),
        claim: format!("The learngene beats {name} in {}", experiment.short_name()),
        evidence: evidence(experiment, &pairs, &verdicts),
        experiment: experiment.id.clone(),
    })
}

/// Whether two models have one shape, so that nothing but their initial values tells them apart.
fn is_alike(one: &Model, other: &Model) -> bool {
    (&one.ancestor, one.depth, &one.heads) == (&other.ancestor, other.depth, &other.heads)
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
        of(Verdict::WithinSpread, "within the spread"),
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
