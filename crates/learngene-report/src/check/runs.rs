//! Runs: what was typed, and every evaluation.

use super::{Check, filled, magnitude, percent, sha256, wanted};
use crate::data::{Evaluation, Measure, Report, Run};

/// Checks the runs of one cell, measured alike and evaluated at the same steps.
pub(super) fn check(runs: &[Run], measure: Measure, place: &str) -> Check {
    for (index, run) in runs.iter().enumerate() {
        let place = format!("{place}[{index}]");
        check_run(run, measure, &place)?;
        let Some(earlier) = index.checked_sub(1).map(|earlier| &runs[earlier]) else { continue };
        let rises = run.seed > earlier.seed;
        let wants = format!("a seed above {}, that of the run before", earlier.seed);
        wanted(rises, format!("{place}.seed"), run.seed, wants)?;
        let steps = |run: &Run| -> Vec<u64> { run.evaluations.iter().map(|e| e.step).collect() };
        let (got, want) = (steps(run), steps(&runs[0]));
        let (got_text, want_text) =
            (format!("after steps {got:?}"), format!("{want:?}, as in runs[0]"));
        wanted(got == want, format!("{place}.evaluations"), got_text, want_text)?;
    }
    Ok(())
}

fn check_run(run: &Run, measure: Measure, place: &str) -> Check {
    let field = |field: &str| format!("{place}.{field}");
    value(&field("value"), run.value, measure)?;
    sha256(&field("key"), &run.key)?;
    sha256(&field("code"), &run.code)?;
    wanted(!run.commands.is_empty(), field("commands"), "empty", "at least one command")?;
    for (index, command) in run.commands.iter().enumerate() {
        filled(&field(&format!("commands[{index}]")), command)?;
    }
    for (index, evaluation) in run.evaluations.iter().enumerate() {
        let earlier = index.checked_sub(1).map(|earlier| &run.evaluations[earlier]);
        check_evaluation(evaluation, earlier, &field(&format!("evaluations[{index}]")))?;
    }
    run.linear_probe.map_or(Ok(()), |top1| percent(&field("linear_probe"), top1))?;
    run.knn.map_or(Ok(()), |top1| percent(&field("knn"), top1))?;
    let Some(rate) = run.learning_rate else { return Ok(()) };
    let is_rate = rate.is_finite() && rate > 0.0;
    wanted(is_rate, field("learning_rate"), rate, "a positive, finite rate")
}

fn check_evaluation(got: &Evaluation, earlier: Option<&Evaluation>, place: &str) -> Check {
    percent(&format!("{place}.top1"), got.top1)?;
    magnitude(&format!("{place}.epoch"), got.epoch)?;
    let Some(earlier) = earlier else { return Ok(()) };
    let after = |what: f64| format!("more than {what}, the one before");
    let (field, later) = (format!("{place}.step"), got.step > earlier.step);
    wanted(later, field, got.step, after(earlier.step as f64))?;
    let (field, later) = (format!("{place}.epoch"), got.epoch > earlier.epoch);
    wanted(later, field, got.epoch, after(earlier.epoch))
}

/// Bounds of what a measure counts.
pub(super) fn value(field: &str, value: f64, measure: Measure) -> Check {
    match measure {
        Measure::Top1 | Measure::LinearProbe => percent(field, value),
        Measure::Heads | Measure::FeatureError => magnitude(field, value),
        Measure::Count => {
            magnitude(field, value)?;
            wanted(value.fract() == 0.0, field, value, "a whole number")
        }
    }
}

/// That an ancestor of this id is in the report.
pub(super) fn ancestor(field: &str, id: &str, report: &Report) -> Check {
    let known: Vec<&str> = report.ancestors.iter().map(|ancestor| ancestor.id.as_str()).collect();
    let wants = format!("the id of an ancestor: {}", known.join(", "));
    wanted(known.contains(&id), field, format!("`{id}`"), wants)
}
