//! What a value counts, in words and digits.

use crate::{
    data::{Experiment, Measure},
    stats::Spread,
    text::thousands,
};

impl Measure {
    /// What it is called in headings, with its unit.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Top1 => "top-1 (%)",
            Self::LinearProbe => "linear probe (%)",
            Self::Heads => "heads kept",
            Self::Count => "number",
            Self::FeatureError => "feature error",
        }
    }

    /// What it is, in a sentence.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Top1 => "Top-1: percent of test images",
            Self::LinearProbe => {
                "Linear probe: percent of test images, by a ridge probe on features before any training"
            }
            Self::Heads => "Heads kept by the learngene",
            Self::Count => "Numbers of images and classes",
            Self::FeatureError => {
                "Feature error: error of an attention's output relative to its variance, mean over layers"
            }
        }
    }

    /// Whether chance has a part in it, so that the number of runs matters.
    pub(crate) fn is_of_runs(self) -> bool {
        !matches!(self, Self::Heads | Self::Count)
    }

    /// A short name that tells it apart from others in an `id`.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Top1 => "top1",
            Self::LinearProbe => "linear-probe",
            Self::Heads => "heads",
            Self::Count => "count",
            Self::FeatureError => "feature-error",
        }
    }
}

/// How values of one measure are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digits {
    decimals: usize,
    is_percent: bool,
}

impl Digits {
    /// As many decimals of a percentage as one test image counts, one or two.
    pub(crate) fn of(measure: Measure, test_images: u64) -> Self {
        let (decimals, is_percent) = match measure {
            Measure::Top1 | Measure::LinearProbe if test_images > 1000 => (2, true),
            Measure::Top1 | Measure::LinearProbe => (1, true),
            Measure::Heads | Measure::Count => (0, false),
            Measure::FeatureError => (3, false),
        };
        Self { decimals, is_percent }
    }

    /// A value without its unit: `61.2`.
    pub(crate) fn value(self, value: f64) -> String {
        // Heads may be a mean over seeds, which no whole number tells.
        match self.decimals {
            0 if value.fract() == 0.0 => thousands(value as u64),
            0 => format!("{value:.1}"),
            decimals => format!("{value:.decimals$}"),
        }
    }

    /// Mean and spread: `61.2 ± 0.8`, or the mean alone for one run.
    pub(crate) fn spread(self, spread: Spread) -> String {
        match spread.std {
            Some(std) => format!("{} ± {}", self.value(spread.mean), self.value(std)),
            None => self.value(spread.mean),
        }
    }

    /// The same with its unit: `61.2 ± 0.8 %`.
    pub(crate) fn with_unit(self, spread: Spread) -> String {
        format!("{}{}", self.spread(spread), if self.is_percent { " %" } else { "" })
    }

    /// A difference with its sign: `+13.3`, `−0.4`.
    pub(crate) fn difference(self, difference: f64) -> String {
        let text = self.value(difference.abs());
        let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
        match (is_zero, difference < 0.0) {
            (true, _) => text,
            (false, true) => format!("−{text}"),
            (false, false) => format!("+{text}"),
        }
    }
}

impl Experiment {
    /// How its values of a measure are written.
    pub(crate) fn digits(&self, measure: Measure) -> Digits {
        Digits::of(measure, self.data.as_ref().map_or(0, |data| data.test_images))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(measure: Measure, test_images: u64, value: f64, want: &str) {
        assert_eq!(Digits::of(measure, test_images).value(value), want);
    }

    #[test]
    fn digits_are_as_fine_as_the_measure() {
        check(Measure::Top1, 10_000, 61.234, "61.23");
        check(Measure::Top1, 1000, 61.2, "61.2");
        check(Measure::Count, 0, 1_281_167.0, "1,281,167");
        check(Measure::Heads, 0, 6.5, "6.5");
        check(Measure::FeatureError, 0, 0.0123, "0.012");
    }

    #[test]
    fn a_difference_has_a_sign_unless_it_rounds_to_nothing() {
        let digits = Digits::of(Measure::Top1, 1000);
        let texts = [1.25, -0.44, -0.04].map(|value| digits.difference(value));
        assert_eq!(texts, ["+1.2", "−0.4", "0.0"]);
    }

    #[test]
    fn one_run_has_no_spread() {
        let digits = Digits::of(Measure::Top1, 1000);
        let spread = |std| Spread { mean: 59.0, std, n: 2 };
        assert_eq!(digits.with_unit(spread(Some(1.4))), "59.0 ± 1.4 %");
        assert_eq!(digits.with_unit(spread(None)), "59.0 %");
    }
}
