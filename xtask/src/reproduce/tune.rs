//! `cargo xtask tune`: the learning rate of each method, chosen on held-out training images.
//!
//! Too high a rate destroys what was inherited, and too low a one wastes a short run, so a rate
//! that suits one method would be unfair to another.

use std::{collections::BTreeMap, fs, ops::Range, path::Path};

use anyhow::{Context, Result};
use clap::Args;
use learngene_report::data::Scale;

use super::{
    open,
    pipeline::Pipeline,
    rates::{FILE, LearningRates, Tried},
    setting::Setting,
    write,
};
use crate::{learngene::Learngene, workspace::Workspace};

/// What is searched: by ancestor and name, what descendants are told.
const SEARCHES: &str = "xtask/desk/searches.toml";
/// Share of the training images on which rates are compared.
const HELD_OUT: f64 = 0.2;
/// Peak rates, in rising order.
const RATES: [f64; 9] = [1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2];
/// Those among [`RATES`] that every method is tried at. Where the best of them lies at the edge, the
/// next one beyond it is tried too, until the best has a neighbour on each side.
const FIRST_TRIED: Range<usize> = 3..8;

#[derive(Args)]
pub(crate) struct Options {
    /// Searches for these alone, by their names in xtask/desk/searches.toml or the beginning of them.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',')]
    only: Vec<String>,
}

/// Reads what is searched.
fn searches(root: &Path) -> Result<BTreeMap<String, Setting>> {
    let text = fs::read_to_string(root.join(SEARCHES))
        .with_context(|| format!("cannot read {SEARCHES}"))?;
    toml::from_str(&text).with_context(|| SEARCHES.to_owned())
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let root = &workspace.root;
    let mut rates = LearningRates::read(root)?;
    let searches = searches(root)?;
    let learngene = Learngene::build(workspace)?;
    let open = open(workspace, &learngene, "tune", false)?;
    open.ledger.allow(true);
    rates.searches.retain(|name, _| searches.contains_key(name));
    for (name, setting) in &searches {
        let is_wanted = options.only.is_empty() || options.only.iter().any(|o| name.starts_with(o));
        if !is_wanted {
            continue;
        }
        eprintln!("{name}");
        let (ancestor, _) = name.split_once('/').with_context(|| {
            format!("{SEARCHES}: `{name}` is not the name of an ancestor, / and another name")
        })?;
        let mut setting = setting.clone();
        setting.ancestor = Some(ancestor.to_owned());
        setting.train = format!("{} --hold-out {HELD_OUT}", setting.train);
        let pipeline = Pipeline {
            inputs: &open.inputs,
            ancestors: &open.ancestors,
            rates: &rates,
            scale: Scale::Desk,
        };
        let ancestor = pipeline.ancestor(&setting)?;
        let expand = pipeline.descendant(ancestor, &setting, 0)?;
        let tried = Tried::among_rates(|rate| {
            let train = pipeline.training(ancestor, &setting, &expand, 0, Some(rate))?;
            let printed = open.ledger.result(&train)?;
            open.ledger.tidy(&train);
            let last = printed["metrics"].as_array().and_then(|metrics| metrics.last());
            let top1 = last.and_then(|line| line["top1"].as_f64());
            let top1 = top1.with_context(|| format!("{name}: no evaluation at the rate {rate}"))?;
            eprintln!("        rate {rate}: {top1:.2} % of held-out training images");
            Ok(top1)
        })?;
        eprintln!("    {}", tried.chosen);
        rates.searches.insert(name.clone(), tried);
        let text = serde_json::to_string_pretty(&rates).context("rates are plain data")?;
        write(&root.join(FILE), &(text + "\n"))?;
    }
    Ok(())
}

impl Tried {
    /// Measures the rates that all are tried at, and those beyond while they get better.
    fn among_rates(mut top1: impl FnMut(f64) -> Result<f64>) -> Result<Self> {
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
        check_search(3e-4, 3e-4, 5);
        check_search(3e-5, 3e-5, 6);
        check_search(1e-5, 1e-5, 7);
        check_search(3e-3, 3e-3, 6);
    }

    #[test]
    fn the_search_ends_with_the_rates() {
        check_search(1e-9, 1e-6, 8);
        check_search(9.0, 1e-2, 6);
    }

    #[test]
    fn the_rates_of_this_repository_are_of_its_searches() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let rates = LearningRates::read(root).expect("the file is in the repository");
        let searches = searches(root).expect("the file is in the repository");
        for name in rates.searches.keys() {
            assert!(searches.contains_key(name), "{name}");
            let (ancestor, name) = name.split_once('/').expect("of an ancestor");
            assert!(rates.rate(ancestor, name).expect("tried") > 0.0);
        }
        let error = rates.rate("desk-vit", "magic").expect_err("never tried");
        assert_eq!(
            error.to_string(),
            format!("{FILE} has no rate for desk-vit/magic: cargo xtask tune")
        );
    }
}
