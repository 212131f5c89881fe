//! Means and spreads over runs, and how fast one curve reaches another.

use crate::data::{Convergence, Experiment, Measured, Outcome};

/// Student's t that 2.5 % lie above, for 1, 2, .. 30 degrees of freedom; beyond, it is hardly less.
const STUDENT_T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// Mean and spread of one number over runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (n - 1); none for one value.
    pub std: Option<f64>,
    /// Number of values.
    pub n: usize,
}

/// One evaluation, over all runs of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Optimiser steps before it.
    pub step: u64,
    /// The same in epochs.
    pub epoch: f64,
    /// Percent of test images.
    pub top1: Spread,
}

impl Spread {
    /// Of the values; none of no value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let std = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        (n > 0).then_some(Self { mean, std, n })
    }

    /// Half the width of the 95 % confidence interval of the difference of two means, for samples of
    /// equal variance: `t · √(p (1/n + 1/m))`, with the pooled variance `p` and Student's `t` for
    /// `n + m - 2` degrees of freedom. None where one of both is a single value.
    pub fn half_width(self, other: Self) -> Option<f64> {
        let squares = |spread: Self| Some(spread.std?.powi(2) * (spread.n - 1) as f64);
        let freedom = (self.n + other.n).checked_sub(2)?;
        let pooled = (squares(self)? + squares(other)?) / freedom as f64;
        let t = STUDENT_T[freedom.clamp(1, STUDENT_T.len()) - 1];
        Some(t * (pooled * (1.0 / self.n as f64 + 1.0 / other.n as f64)).sqrt())
    }
}

impl Measured {
    /// Mean, spread and number of the runs' values, as checked.
    pub fn spread(&self) -> Spread {
        Spread { mean: self.mean, std: self.std, n: self.runs.len() }
    }

    /// Mean over runs at every evaluation that all runs have; empty where nothing is trained.
    pub fn curve(&self) -> Vec<Point> {
        let Some(first) = self.runs.first() else { return Vec::new() };
        let point = |step, epoch| {
            let top1 = self.runs.iter().map(|run| {
                let at_step = run.evaluations.iter().find(|e| e.step == step);
                at_step.map(|e| e.top1)
            });
            let top1 = Spread::of(top1.collect::<Option<Vec<f64>>>()?)?;
            Some(Point { step, epoch, top1 })
        };
        first.evaluations.iter().filter_map(|e| point(e.step, e.epoch)).collect()
    }
}

impl Convergence {
    /// Compares the curve of a descendant with that of the same shape from scratch; none where one
    /// of both has no curve.
    pub fn of(
        ancestor: &str,
        column: &str,
        learngene: &Measured,
        scratch: &Measured,
    ) -> Option<Self> {
        let (learngene, scratch) = (learngene.curve(), scratch.curve());
        let (end, budget) = (learngene.last()?, scratch.last()?.step);
        let first = scratch.iter().find(|point| point.top1.mean >= end.top1.mean);
        let scratch_steps = first.map_or(budget, |point| point.step);
        Some(Self {
            ancestor: ancestor.into(),
            column: column.into(),
            target: end.top1.mean,
            learngene_steps: end.step,
            scratch_steps,
            reached: first.is_some(),
            ratio: scratch_steps as f64 / end.step as f64,
        })
    }
}

impl Experiment {
    /// The first value by a method in a column for an ancestor.
    pub fn first_by(&self, method: &str, column: &str, ancestor: &str) -> Option<&Measured> {
        let of_column = self.cells.iter().filter(|cell| cell.column == column);
        let mut measured = of_column.filter_map(|cell| match &cell.outcome {
            Outcome::Run(measured) => Some(measured),
            Outcome::NotRun { .. } => None,
        });
        measured.find(|measured| {
            let model = measured.model.as_ref();
            model.is_some_and(|model| model.method == method && model.ancestor == ancestor)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Evaluation, Run};

    /// One run for each list; evaluations after 10, 20, ... steps.
    fn measured(curves: &[&[f64]]) -> Measured {
        let evaluation = |(i, &top1): (usize, &f64)| Evaluation {
            step: 10 * (i as u64 + 1),
            epoch: i as f64 + 1.0,
            top1,
        };
        let run = |(seed, curve): (usize, &&[f64])| Run {
            seed: seed as u64,
            value: 0.0,
            key: String::new(),
            code: String::new(),
            commands: Vec::new(),
            evaluations: curve.iter().enumerate().map(evaluation).collect(),
            linear_probe: None,
            knn: None,
            learning_rate: None,
        };
        let runs = curves.iter().enumerate().map(run).collect();
        Measured { mean: 0.0, std: None, difference: None, model: None, runs }
    }

    fn check_convergence(scratch: &[&[f64]], steps: u64, reached: bool, ratio: f64) {
        let learngene = measured(&[&[20.0, 50.0], &[30.0, 60.0]]);
        let found = Convergence::of("a", "c", &learngene, &measured(scratch)).expect("curves");
        let got = (found.target, found.learngene_steps, found.scratch_steps, found.reached);
        assert_eq!((got, found.ratio), ((55.0, 20, steps, reached), ratio));
    }

    #[test]
    fn the_mean_of_scratch_decides_when_it_gets_there() {
        check_convergence(&[&[10.0, 30.0, 54.0, 56.0]], 40, true, 2.0);
        // Each alone would reach 55 earlier or later: the means are 10, 55.
        check_convergence(&[&[10.0, 70.0, 90.0], &[10.0, 40.0, 90.0]], 20, true, 1.0);
    }

    #[test]
    fn scratch_that_never_gets_there_gives_its_budget_as_a_bound() {
        check_convergence(&[&[10.0, 30.0, 40.0, 50.0, 54.9]], 50, false, 2.5);
    }

    #[test]
    fn runs_are_compared_at_the_steps_that_all_have() {
        let mut measured = measured(&[&[10.0, 20.0, 30.0], &[12.0, 22.0]]);
        measured.runs[1].evaluations[1].step = 30;
        let curve: Vec<_> = measured.curve().iter().map(|p| (p.step, p.top1.mean)).collect();
        assert_eq!(curve, [(10, 11.0), (30, 26.0)]);
    }

    #[test]
    fn models_without_curves_do_not_converge() {
        assert_eq!(Convergence::of("a", "c", &measured(&[&[1.0]]), &measured(&[&[]])), None);
    }

    #[test]
    fn spread_is_the_sample_standard_deviation() {
        // Deviations -2, 0, 2: the squares sum to 8, divided by n - 1 = 2.
        let spread = Spread { mean: 52.0, std: Some(2.0), n: 3 };
        assert_eq!(Spread::of([50.0, 52.0, 54.0]), Some(spread));
    }

    #[test]
    fn the_interval_of_a_difference_is_student_s() {
        let spread = |std, n| Spread { mean: 0.0, std, n };
        // Pooled variance (2 · 9 + 2 · 16) / 4 = 12.5; t of 4 degrees 2.776.
        let half_width = spread(Some(3.0), 3).half_width(spread(Some(4.0), 3)).expect("spreads");
        assert!((half_width - 2.776 * (12.5_f64 * 2.0 / 3.0).sqrt()).abs() < 1e-12);
        // Pooled variance (1 · 4 + 3 · 8) / 4 = 7.
        let half_width = spread(Some(2.0), 2).half_width(spread(Some(8_f64.sqrt()), 4));
        assert!((half_width.expect("spreads") - 2.776 * (7.0_f64 * 0.75).sqrt()).abs() < 1e-12);
        assert_eq!(spread(Some(3.0), 3).half_width(spread(None, 1)), None);
        assert_eq!(spread(Some(0.0), 2).half_width(spread(Some(0.0), 99)), Some(0.0));
    }

    #[test]
    fn one_run_has_no_spread_and_none_no_mean() {
        assert_eq!(Spread::of([50.0]), Some(Spread { mean: 50.0, std: None, n: 1 }));
        assert_eq!(Spread::of([]), None);
    }
}
