//! What holds, what does not, and what was not run: judged from means and spreads alone.
//!
//! ```text
//! difference d of two means, with sample standard deviations s and t:
//!   holds             d >  √(s² + t²)
//!   within the spread |d| ≤ √(s² + t²)
//!   does not hold     d < -√(s² + t²)
//!   not decided       one of both has one run, whose spread nobody knows
//! ```

mod choices;
mod convergence;
mod methods;
mod not_run;

use serde::Serialize;

use crate::{data::Report, stats::Spread};

/// How a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// By more than the spread.
    Holds,
    /// The difference is no larger than the spread, in either direction.
    WithinSpread,
    /// The opposite is so, by more than the spread.
    DoesNotHold,
    /// One run alone, or one that ended too early, says nothing.
    NotDecided,
    /// There are no values to judge by.
    NotRun,
}

/// One claim with its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it stands.
    pub verdict: Verdict,
    /// What is claimed, in a sentence without its dot.
    pub claim: String,
    /// The numbers, in sentences.
    pub evidence: String,
    /// `id` of the experiment.
    pub experiment: String,
}

impl Verdict {
    /// All, in the order of the summary.
    pub(crate) const ALL: [Self; 5] =
        [Self::Holds, Self::WithinSpread, Self::DoesNotHold, Self::NotDecided, Self::NotRun];

    /// As readers know it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::WithinSpread => "within the spread",
            Self::DoesNotHold => "does not hold",
            Self::NotDecided => "not decided",
            Self::NotRun => "not run",
        }
    }

    /// Judges how far one mean lies above another.
    fn of(difference: f64, spread: Option<f64>) -> Self {
        match spread {
            None => Self::NotDecided,
            Some(spread) if difference > spread => Self::Holds,
            Some(spread) if difference < -spread => Self::DoesNotHold,
            Some(_) => Self::WithinSpread,
        }
    }

    /// Judges a claim about several cells: it holds where it does in each, and does not where it
    /// fails in one.
    fn of_all(verdicts: &[Self]) -> Self {
        let any = |verdict| verdicts.contains(&verdict);
        match () {
            () if verdicts.is_empty() => Self::NotRun,
            () if any(Self::DoesNotHold) => Self::DoesNotHold,
            () if any(Self::NotDecided) => Self::NotDecided,
            () if any(Self::WithinSpread) => Self::WithinSpread,
            () => Self::Holds,
        }
    }
}

/// Standard deviation of the difference of two values, each with a spread of its own.
fn joint(one: Spread, other: Spread) -> Option<f64> {
    Some(one.std?.hypot(other.std?))
}

/// Judges every claim of the paper that the report can judge, in the order of experiments; what was
/// not run comes last.
pub fn findings(report: &Report) -> Vec<Finding> {
    let each = |judge: fn(&Report, usize) -> Vec<Finding>| {
        (0..report.experiments.len()).flat_map(move |index| judge(report, index))
    };
    let judged = |report: &Report, index: usize| {
        let experiment = &report.experiments[index];
        let mut found = convergence::judge(experiment, report);
        found.extend(methods::judge(experiment));
        found.extend(choices::judge(experiment));
        found
    };
    each(judged)
        .chain(each(|report, index| not_run::judge(&report.experiments[index], report)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verdicts: &[Verdict], want: Verdict) {
        assert_eq!(Verdict::of_all(verdicts), want);
    }

    #[test]
    fn a_difference_is_judged_by_the_spread_of_both() {
        let spread = |std| Spread { mean: 0.0, std, n: 2 };
        let joint = joint(spread(Some(3.0)), spread(Some(4.0)));
        assert_eq!(joint, Some(5.0));
        assert_eq!(Verdict::of(5.1, joint), Verdict::Holds);
        assert_eq!(Verdict::of(5.0, joint), Verdict::WithinSpread);
        assert_eq!(Verdict::of(-5.0, joint), Verdict::WithinSpread);
        assert_eq!(Verdict::of(-5.1, joint), Verdict::DoesNotHold);
        assert_eq!(super::joint(spread(Some(3.0)), spread(None)), None);
        assert_eq!(Verdict::of(90.0, None), Verdict::NotDecided);
    }

    #[test]
    fn the_worst_cell_decides() {
        use Verdict::{DoesNotHold, Holds, NotDecided, NotRun, WithinSpread};
        check(&[Holds, Holds], Holds);
        check(&[Holds, WithinSpread], WithinSpread);
        check(&[Holds, NotDecided, WithinSpread], NotDecided);
        check(&[DoesNotHold, NotDecided], DoesNotHold);
        check(&[], NotRun);
    }
}
