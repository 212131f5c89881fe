//! What was not run.

use super::{Finding, Verdict};
use crate::{
    data::{Experiment, Kind, Report},
    grid::unique,
    text::count,
};

/// One finding for each reason why something of an experiment is missing.
pub(super) fn judge(experiment: &Experiment, report: &Report) -> Vec<Finding> {
    let all = experiment.cells.len();
    let finding = |claim: String, evidence: String| Finding {
        verdict: Verdict::NotRun,
        claim: format!("{}: {claim}", experiment.short_name()),
        evidence,
        experiment: experiment.id.clone(),
    };
    let of_reason = |reason: &str| {
        let missing = experiment.cells.iter().filter(|cell| cell.reason() == Some(reason)).count();
        finding(format!("{missing} of {} not run", count(all, "cell", "cells")), reason.to_owned())
    };
    let reasons = unique(experiment.cells.iter().filter_map(|cell| cell.reason()));
    if !reasons.is_empty() {
        return reasons.into_iter().map(of_reason).collect();
    }
    let is_empty = match experiment.kind {
        Kind::Densities => report.ancestors.is_empty(),
        Kind::Attention => report.ancestors.iter().all(|ancestor| ancestor.attention.is_empty()),
        _ => false,
    };
    let nothing = || finding("nothing to draw".into(), "The report holds no data for it.".into());
    if is_empty { vec![nothing()] } else { Vec::new() }
}
