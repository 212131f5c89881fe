//! What holds, what does not, and what was not run: judged from means and spreads over seeds.
//!
//! ```text
//! difference d of two means with the half width h of its 95 % confidence interval (Student's, of two
//! samples of equal variance):
//!   holds                d >  h
//!   no difference shown |d| ≤ h
//!   does not hold        d < -h
//!   not decided          one of both has one run, whose spread nobody knows
//! ```

mod chance;
mod choices;
mod convergence;
mod methods;
mod not_run;

use serde::Serialize;

use crate::data::Report;

/// How a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// By more than chance over seeds explains.
    Holds,
    /// The difference is such as chance over seeds makes, in either direction.
    NoDifference,
    /// The opposite is so, by more than chance over seeds explains.
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
        [Self::Holds, Self::NoDifference, Self::DoesNotHold, Self::NotDecided, Self::NotRun];

    /// As readers know it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::NoDifference => "no difference shown",
            Self::DoesNotHold => "does not hold",
            Self::NotDecided => "not decided",
            Self::NotRun => "not run",
        }
    }

    /// Judges how far one mean lies above another.
    fn of(difference: f64, half_width: Option<f64>) -> Self {
        match half_width {
            None => Self::NotDecided,
            Some(half_width) if difference > half_width => Self::Holds,
            Some(half_width) if difference < -half_width => Self::DoesNotHold,
            Some(_) => Self::NoDifference,
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
            () if any(Self::NoDifference) => Self::NoDifference,
            () => Self::Holds,
        }
    }
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
        found.extend(chance::judge(experiment));
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
    fn a_difference_is_judged_by_its_interval() {
        assert_eq!(Verdict::of(5.1, Some(5.0)), Verdict::Holds);
        assert_eq!(Verdict::of(5.0, Some(5.0)), Verdict::NoDifference);
        assert_eq!(Verdict::of(-5.0, Some(5.0)), Verdict::NoDifference);
        assert_eq!(Verdict::of(-5.1, Some(5.0)), Verdict::DoesNotHold);
        assert_eq!(Verdict::of(90.0, None), Verdict::NotDecided);
    }

    #[test]
    fn the_worst_cell_decides() {
        use Verdict::{DoesNotHold, Holds, NoDifference, NotDecided, NotRun};
        check(&[Holds, Holds], Holds);
        check(&[Holds, NoDifference], NoDifference);
        check(&[Holds, NotDecided, NoDifference], NotDecided);
        check(&[DoesNotHold, NotDecided], DoesNotHold);
        check(&[], NotRun);
    }
}
