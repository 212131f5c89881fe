//! What was not run.

use super::{Finding, Verdict};
use crate::{
    data::{Experiment, Kind, Report},
    grid::unique,
    text::count,
};

/// One finding for an experiment of which something is missing.
pub(super) fn judge(experiment: &Experiment, report: &Report) -> Vec<Finding> {
    let missing = experiment.cells.iter().filter(|cell| cell.reason().is_some()).count();
    let all = experiment.cells.len();
    let finding = |claim: String, evidence: String| Finding {
        verdict: Verdict::NotRun,
        claim: format!("{}: {claim}", experiment.heading()),
        evidence,
        experiment: experiment.id.clone(),
    };
    if missing > 0 {
        let claim = format!("{missing} of {} not run", count(all, "cell", "cells"));
        let reasons = unique(experiment.cells.iter().filter_map(|cell| cell.reason()));
        return vec![finding(claim, reasons.join("; "))];
    }
    let is_empty = match experiment.kind {
        Kind::Densities => report.ancestors.is_empty(),
        Kind::Attention => report.ancestors.iter().all(|ancestor| ancestor.attention.is_empty()),
        _ => false,
    };
    let nothing = || finding("nothing to draw".into(), "The report holds no data for it.".into());
    if is_empty { vec![nothing()] } else { Vec::new() }
}
