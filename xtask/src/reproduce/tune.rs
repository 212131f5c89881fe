//! `cargo xtask tune`: the learning rate of each method, chosen on held-out training images.
//!
//! Too high a rate destroys what was inherited, and too low a one wastes a short run, so a rate
//! that suits one method would be unfair to another.

use std::{collections::BTreeMap, fs, ops::Range, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    desk::Desk,
    plan::{Descendant, Method, PROJECTIONS, Shape},
    subject::Subject,
};
use crate::{learngene::Learngene, workspace::Workspace};

const FILE: &str = "xtask/desk/learning_rates.json";
/// Peak rates for a batch of 512, in rising order.
const RATES: [f64; 9] = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1];
/// Those among [`RATES`] that every method is tried at. Where the best of them lies at the edge, the
/// next one beyond it is tried too, until the best has a neighbour on each side.
const FIRST_TRIED: Range<usize> = 3..8;
/// The descendant on which rates are compared.
const SHAPE: Shape = Shape { depth: 12, head_ratio: "1" };

/// What was tried, and what was chosen.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LearningRates {
    command: String,
    item: String,
    methods: BTreeMap<String, Tried>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tried {
    pub(super) chosen: f64,
    /// Top-1 on the held-out images, in percent, by learning rate.
    pub(super) top1: BTreeMap<String, f64>,
}

impl LearningRates {
    /// Reads the rates that this repository ships.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{FILE} is not a table of learning rates"))
    }

    /// The rate of a method.
    pub(crate) fn rate(&self, method: Method) -> Result<f64> {
        let tried = self.methods.get(method.name());
        Ok(tried.with_context(|| format!("{FILE} has no rate for {}", method.name()))?.chosen)
    }

    /// The rate of every method.
    pub(crate) fn chosen(&self) -> BTreeMap<String, f64> {
        self.methods.iter().map(|(method, tried)| (method.clone(), tried.chosen)).collect()
    }
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let learngene = Learngene::build(workspace)?;
    let desk = Desk::open(workspace, &learngene, "desk", Subject::desk(), "cifar10-sample", false)?;
    desk.condense()?;
    let mut methods = BTreeMap::new();
    for method in Method::ALL {
        let projection = (method == Method::ClusterLearngene).then_some(PROJECTIONS[0]);
        let descendant = Descendant { shape: SHAPE, method, projection, seed: 0 };
        let (checkpoint, ..) = desk.expand(&descendant)?;
        let tried = Tried::among_rates(|rate| {
            let slug = format!("{}-lr{rate}", descendant.slug());
            let train = desk.training(&checkpoint, slug, rate, descendant.seed);
            let top1 = desk.held_out_top1(train)?;
            eprintln!("{} at {rate}: {top1:.2} %", method.name());
            Ok(top1)
        })?;
        methods.insert(method.name().to_owned(), tried);
    }
    let rates = LearningRates { command: "cargo xtask tune".into(), item: SHAPE.item(), methods };
    let text = serde_json::to_string_pretty(&rates).context("rates are plain data")?;
    fs::write(workspace.root.join(FILE), text + "\n")
        .with_context(|| format!("cannot write {FILE}"))
}

impl Tried {
    /// Measures the rates that all are tried at, and those beyond while they get better.
    pub(super) fn among_rates(mut top1: impl FnMut(f64) -> Result<f64>) -> Result<Self> {
        let mut measure = |rate| top1(rate).map(|top1| (rate, top1));
        let Range { mut start, mut end } = FIRST_TRIED;
        let mut measured =
            RATES[FIRST_TRIED].iter().map(|rate| measure(*rate)).collect::<Result<Vec<_>>>()?;
        loop {
            let tried = Self::best_of(&measured)?;
            if tried.chosen == RATES[start] && start > 0 {
                start -= 1;
                measured.insert(0, measure(RATES[start])?);
            } else if tried.chosen == RATES[end - 1] && end < RATES.len() {
                measured.push(measure(RATES[end])?);
                end += 1;
            } else {
                return Ok(tried);
            }
        }
    }

    /// The rate with the highest top-1; of equal ones the lowest, which keeps more of what was
    /// inherited.
    fn best_of(measured: &[(f64, f64)]) -> Result<Self> {
        let mut best: Option<(f64, f64)> = None;
        for &(rate, top1) in measured {
            if best.is_none_or(|(_, highest)| top1 > highest) {
                best = Some((rate, top1));
            }
        }
        let (chosen, _) = best.context("at least one rate was tried")?;
        let top1 = measured.iter().map(|(rate, top1)| (rate.to_string(), *top1)).collect();
        Ok(Self { chosen, top1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_rate_is_chosen_and_the_lower_of_equals() {
        let tried = Tried::best_of(&[(0.001, 20.0), (0.003, 35.0), (0.01, 35.0)]).expect("three");
        assert_eq!(tried.chosen, 0.003);
        assert_eq!(tried.top1["0.01"], 35.0);
    }

    /// The rate chosen where top-1 is highest at `best`, and how many were tried.
    fn check_search(best: f64, chosen: f64, tried: usize) {
        let top1 = |rate: f64| Ok(50.0 - (rate / best).ln().abs());
        let found = Tried::among_rates(top1).expect("nothing fails");
        assert_eq!((found.chosen, found.top1.len()), (chosen, tried), "best at {best}");
    }

    #[test]
    fn the_best_rate_has_a_neighbour_on_each_side() {
        check_search(3e-3, 3e-3, 5);
        check_search(3e-4, 3e-4, 6);
        check_search(1e-4, 1e-4, 7);
        check_search(3e-2, 3e-2, 6);
    }

    #[test]
    fn the_search_ends_with_the_rates() {
        check_search(1e-9, 1e-5, 8);
        check_search(9.0, 1e-1, 6);
    }

    #[test]
    fn the_rates_of_this_repository_cover_every_method() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let rates = LearningRates::read(root).expect("the file is in the repository");
        for method in Method::ALL {
            assert!(rates.rate(method).expect("tried") > 0.0);
        }
    }
}
