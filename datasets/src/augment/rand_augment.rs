//! RandAugment's settings in timm's notation, and its draws.

use std::fmt;
use std::str::FromStr;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};

use super::Operation;
use super::bounds::ensure;
use super::operation::MAX_MAGNITUDE;
use crate::DatasetError;

/// Random operations from timm's "increasing" set, whose strengths grow with the magnitude.
///
/// Written as timm does: `rand-m9-mstd0.5-inc1`, with `n` (operations) and `p` (chance of each) where they differ.
///
/// Source: Cubuk et al., "RandAugment", 2020, <https://arxiv.org/abs/1909.13719>, in the form of timm's
/// `auto_augment.py`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RandAugment {
    /// Mean strength of an operation, from 0 to 10; `m`.
    pub magnitude: f64,
    /// Standard deviation of the strength, which stays within 0 and 10; `mstd`.
    pub magnitude_std: f64,
    /// Operations drawn for an image, with replacement; `n`.
    pub operations: u32,
    /// Chance that a drawn operation is carried out; `p`.
    pub probability: f64,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self { magnitude: 9.0, magnitude_std: 0.5, operations: 2, probability: 0.5 }
    }
}

impl RandAugment {
    pub(super) fn check(self) -> Result<(), DatasetError> {
        let Self { magnitude, magnitude_std, operations, probability } = self;
        let magnitudes = 0.0..=MAX_MAGNITUDE;
        ensure("rand_augment's m", magnitude, magnitudes.contains(&magnitude), "from 0 to 10")?;
        let fine = (0.0..=100.0).contains(&magnitude_std);
        ensure("rand_augment's mstd", magnitude_std, fine, "from 0 to 100")?;
        let fine = (1..=100).contains(&operations);
        ensure("rand_augment's n", operations, fine, "from 1 to 100")?;
        let fine = (0.0..=1.0).contains(&probability);
        ensure("rand_augment's p", probability, fine, "from 0 to 1")
    }

    /// The operations of one image.
    pub(super) fn draw(self, rng: &mut impl Rng) -> Vec<Operation> {
        let strength = Normal::new(self.magnitude, self.magnitude_std).expect("checked: finite");
        let mut operations = Vec::new();
        for _ in 0..self.operations {
            let magnitude = strength.sample(rng).clamp(0.0, MAX_MAGNITUDE);
            let operation = Operation::draw(rng, magnitude);
            if rng.random::<f64>() < self.probability {
                operations.push(operation);
            }
        }
        operations
    }
}

impl fmt::Display for RandAugment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { magnitude, magnitude_std, operations, probability } = self;
        write!(f, "rand-m{magnitude}-mstd{magnitude_std}-inc1")?;
        let usual = Self::default();
        if *operations != usual.operations {
            write!(f, "-n{operations}")?;
        }
        if *probability != usual.probability {
            write!(f, "-p{probability}")?;
        }
        Ok(())
    }
}

/// A text that is no RandAugment in timm's notation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}`: {part} is not known; wanted something like rand-m9-mstd0.5-inc1: the parts m, mstd, n and p with a \
     number each, and inc1, the only set of operations here"
)]
pub struct UnknownRandAugment {
    text: String,
    part: String,
}

impl FromStr for RandAugment {
    type Err = UnknownRandAugment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown =
            |part: &str| UnknownRandAugment { text: text.to_owned(), part: format!("`{part}`") };
        let mut parts = text.split('-');
        if parts.next() != Some("rand") {
            return Err(unknown(text.split('-').next().unwrap_or_default()));
        }
        // timm's defaults differ from DeiT's: strength 10 without noise, and another set of operations.
        let mut settings = Self { magnitude: MAX_MAGNITUDE, magnitude_std: 0.0, ..Self::default() };
        let mut increasing = false;
        for part in parts {
            let digits = part.find(|letter: char| letter.is_ascii_digit()).unwrap_or(part.len());
            let (name, value) = part.split_at(digits);
            let number = || value.parse::<f64>().map_err(|_| unknown(part));
            match name {
                "m" => settings.magnitude = number()?,
                "mstd" => settings.magnitude_std = number()?,
                "n" => settings.operations = value.parse().map_err(|_| unknown(part))?,
                "p" => settings.probability = number()?,
                "inc" if value == "1" => increasing = true,
                _ => return Err(unknown(part)),
            }
        }
        match increasing {
            true => Ok(settings),
            false => Err(UnknownRandAugment {
                text: text.to_owned(),
                part: "the set of operations without `inc1`".to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for RandAugment {
    type Error = UnknownRandAugment;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RandAugment> for String {
    fn from(settings: RandAugment) -> Self {
        settings.to_string()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn check_read(text: &str, want: RandAugment) {
        assert_eq!(text.parse(), Ok(want));
        assert_eq!(want.to_string().parse(), Ok(want));
    }

    #[test]
    fn texts_are_read_as_timm_reads_them() {
        let deit = RandAugment::default();
        check_read("rand-m9-mstd0.5-inc1", deit);
        check_read("rand-inc1-mstd0.5-m9", deit);
        check_read(
            "rand-m7-mstd0.5-inc1-n3-p0.8",
            RandAugment { magnitude: 7.0, operations: 3, probability: 0.8, ..deit },
        );
        check_read("rand-inc1", RandAugment { magnitude: 10.0, magnitude_std: 0.0, ..deit });
    }

    fn check_refused(text: &str, part: &str) {
        let error = text.parse::<RandAugment>().expect_err("timm would read it in another way");
        assert!(
            error.to_string().starts_with(&format!("`{text}`: {part} is not known")),
            "{error}"
        );
    }

    #[test]
    fn other_texts_are_refused() {
        check_refused("", "``");
        check_refused("augmix-m3", "`augmix`");
        check_refused("rand-m9-inc1-w0", "`w0`");
        check_refused("rand-m9-inc0", "`inc0`");
        check_refused("rand-mx-inc1", "`mx`");
        check_refused("rand-m9", "the set of operations without `inc1`");
    }

    #[test]
    fn half_of_two_operations_are_carried_out() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let counts: Vec<_> =
            (0..4_000).map(|_| RandAugment::default().draw(&mut rng).len()).collect();
        let of = |count: usize| counts.iter().filter(|it| **it == count).count();
        assert!((900..1_100).contains(&of(0)), "{}", of(0));
        assert!((1_900..2_100).contains(&of(1)), "{}", of(1));
        assert_eq!(of(0) + of(1) + of(2), 4_000);
    }

    #[test]
    fn all_kinds_are_drawn_equally_often() {
        let settings = RandAugment { operations: 1, probability: 1.0, ..RandAugment::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..15_000 {
            for operation in settings.draw(&mut rng) {
                let name = format!("{operation:?}");
                let kind = name.split('(').next().unwrap_or_default().to_owned();
                *counts.entry(kind).or_insert(0) += 1;
            }
        }
        assert_eq!(counts.len(), 15);
        assert!(counts.values().all(|count| (880..1_120).contains(count)), "{counts:?}");
    }
}
