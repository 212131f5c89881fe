//! What one run of an experiment is told. An experiment, its grid, column and row each say a part.

use learngene_report::data::Measure;
use serde::Deserialize;

/// A part of what a run is told; what is left out is said elsewhere, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Setting {
    /// A name in `ancestors.toml`.
    pub(crate) ancestor: Option<String>,
    /// As `learngene expand --method` has it; or `baseline` and a method of `learngene baseline`.
    pub(crate) method: Option<String>,
    /// Radius of clusters in pixels, where it is not the ancestor's own.
    pub(crate) eps: Option<f64>,
    /// Flags of the commands; those of an experiment come first, then of a grid, column and row.
    /// `{seed}` stands for the seed of the run.
    pub(crate) condense: String,
    pub(crate) expand: String,
    pub(crate) train: String,
    pub(crate) epochs: Option<u64>,
    /// A file, from the root.
    pub(crate) recipe: Option<String>,
    /// The name of a dataset.
    pub(crate) data: Option<String>,
    /// A name in `learning_rates.json` behind the ancestor's; the method by default.
    pub(crate) rate: Option<String>,
    pub(crate) measure: Option<Measure>,
    /// Whether features are measured before a training too.
    pub(crate) features: Option<bool>,
    /// Which tokens features are of: `token` or `avg`.
    pub(crate) pool: Option<String>,
    /// What is counted of `data`: a field of `learngene list datasets --json`.
    pub(crate) count: Option<String>,
    /// Image whose attention maps are drawn, as `learngene inspect --attention` has it: in the ancestor
    /// or, where there is a recipe, in the trained descendant.
    pub(crate) maps: Option<String>,
    /// Whether `cargo xtask reproduce` runs it without `--full`: one part that says no wins.
    pub(crate) quick: Option<bool>,
    /// Seeds that are run where fewer are asked for.
    pub(crate) least_seeds: Option<u64>,
    /// Why it is not run.
    pub(crate) not_run: Option<String>,
}

impl Setting {
    /// This part, then a later one: flags add up, of all else the later word counts.
    pub(crate) fn then(&self, later: &Self) -> Self {
        let Self { ancestor, method, eps, condense, expand, train, epochs, recipe, .. } = later;
        let Self { data, rate, measure, features, pool, count, maps, quick, .. } = later;
        let quick = match (self.quick, *quick) {
            (Some(before), Some(after)) => Some(before && after),
            (before, after) => before.or(after),
        };
        Self {
            ancestor: ancestor.clone().or_else(|| self.ancestor.clone()),
            method: method.clone().or_else(|| self.method.clone()),
            eps: eps.or(self.eps),
            condense: join(&self.condense, condense),
            expand: join(&self.expand, expand),
            train: join(&self.train, train),
            epochs: epochs.or(self.epochs),
            recipe: recipe.clone().or_else(|| self.recipe.clone()),
            data: data.clone().or_else(|| self.data.clone()),
            rate: rate.clone().or_else(|| self.rate.clone()),
            measure: measure.or(self.measure),
            features: features.or(self.features),
            pool: pool.clone().or_else(|| self.pool.clone()),
            count: count.clone().or_else(|| self.count.clone()),
            maps: maps.clone().or_else(|| self.maps.clone()),
            quick,
            least_seeds: self.least_seeds.max(later.least_seeds),
            not_run: later.not_run.clone().or_else(|| self.not_run.clone()),
        }
    }

    /// Its method.
    pub(crate) fn method(&self) -> &str {
        self.method.as_deref().unwrap_or("cluster-learngene")
    }
}

fn join(first: &str, second: &str) -> String {
    let words: Vec<&str> = first.split_whitespace().chain(second.split_whitespace()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(text: &str) -> Setting {
        toml::from_str(text).expect("a setting")
    }

    /// What two parts come to.
    fn check(first: &str, second: &str, both: &str) {
        assert_eq!(setting(first).then(&setting(second)), setting(both), "{first} then {second}");
    }

    #[test]
    fn flags_add_up() {
        let both = r#"expand = "--depth 6 --order origin""#;
        check(r#"expand = "--depth 6""#, r#"expand = "--order origin""#, both);
        check(r#"expand = "--depth 6""#, "", r#"expand = "--depth 6""#);
    }

    #[test]
    fn the_later_word_counts() {
        check("eps = 0.3", "eps = 0.1", "eps = 0.1");
        check("eps = 0.3", "", "eps = 0.3");
        check(r#"not_run = "a""#, r#"not_run = "b""#, r#"not_run = "b""#);
    }

    #[test]
    fn it_is_quick_where_nobody_says_no() {
        check("quick = true", "", "quick = true");
        check("quick = true", "quick = false", "quick = false");
        check("quick = false", "quick = true", "quick = false");
    }

    #[test]
    fn the_most_seeds_are_run() {
        check("least_seeds = 3", "least_seeds = 2", "least_seeds = 3");
        check("", "least_seeds = 2", "least_seeds = 2");
    }
}
