//! Ablations: one choice of the method changed at a time, everything else as it is by default.

/// One choice that can be made in several ways.
pub(crate) struct Table {
    /// What is chosen, with the paper's table where there is one.
    pub(super) name: &'static str,
    /// Shape of the descendants, as flags of `expand`.
    pub(super) shape: &'static [&'static str],
    pub(super) item: &'static str,
    pub(super) epochs: usize,
    /// Seeds that are run where fewer are asked for.
    pub(super) least_seeds: u64,
    /// Whether each setting gets a learning rate of its own, for a choice that moves the best rate.
    pub(super) tuned: bool,
    pub(super) settings: &'static [Setting],
}

/// One way to choose.
pub(crate) struct Setting {
    pub(super) name: &'static str,
    pub(super) is_default: bool,
    /// Flags of each command beside the desk's own.
    pub(super) condense: &'static [&'static str],
    pub(super) expand: &'static [&'static str],
    pub(super) train: &'static [&'static str],
}

impl Setting {
    /// What happens where nothing is asked for.
    const fn default(name: &'static str) -> Self {
        Self { name, is_default: true, condense: &[], expand: &[], train: &[] }
    }

    const fn condense(name: &'static str, flags: &'static [&'static str]) -> Self {
        Self { condense: flags, is_default: false, ..Self::default(name) }
    }

    const fn expand(name: &'static str, flags: &'static [&'static str]) -> Self {
        Self { expand: flags, is_default: false, ..Self::default(name) }
    }

    const fn train(
        name: &'static str,
        condense: &'static [&'static str],
        flags: &'static [&'static str],
    ) -> Self {
        Self { condense, train: flags, is_default: false, ..Self::default(name) }
    }
}

const HALF: &[&str] = &["--depth", "6", "--head-ratio", "2"];
const FULL: &[&str] = &["--depth", "12", "--head-ratio", "1"];
const WIDE: &[&str] = &["--depth", "6", "--head-ratio", "1/2"];
const JOINED: &[&str] = &["--ffn-eps", "auto"];

/// What is compared. Every setting of a table has the same budget.
pub(crate) const TABLES: [Table; 7] = [
    Table {
        name: "representatives of heads and networks (Table 7)",
        shape: HALF,
        item: "L6 w=2",
        epochs: 2,
        least_seeds: 3,
        tuned: false,
        settings: &[
            Setting::default("heads nearest"),
            Setting::condense("heads mean", &["--representative", "mean"]),
            Setting::condense("heads nearest, networks nearest", JOINED),
            Setting::condense(
                "heads nearest, networks mean",
                &["--ffn-eps", "auto", "--ffn-representative", "mean"],
            ),
            Setting::condense(
                "heads nearest, networks nearest, own norms",
                &["--ffn-eps", "auto", "--ffn-norm", "own"],
            ),
        ],
    },
    Table {
        name: "order of centroids (Table 5)",
        shape: HALF,
        item: "L6 w=2",
        epochs: 2,
        least_seeds: 3,
        tuned: false,
        settings: &[
            Setting::default("priority"),
            Setting::expand("origin", &["--order", "origin"]),
            Setting::expand("increasing", &["--order", "increasing"]),
            Setting::expand("decreasing", &["--order", "decreasing"]),
        ],
    },
    Table {
        name: "head schedules (Table 9)",
        shape: &["--depth", "12"],
        item: "L12",
        epochs: 2,
        least_seeds: 3,
        tuned: false,
        settings: &[
            Setting::default("all heads"),
            Setting::expand("decrementing", &["--heads", "decrementing"]),
            Setting::expand("incrementing", &["--heads", "incrementing"]),
        ],
    },
    Table {
        name: "transformations of shared networks, one epoch of warm-up in four",
        shape: FULL,
        item: "L12 w=1, networks joined",
        epochs: 4,
        least_seeds: 3,
        tuned: false,
        settings: &[
            Setting { is_default: true, ..Setting::train("none", JOINED, &[]) },
            Setting::train(
                "scale-shift",
                JOINED,
                &["--transform-ffn", "scale-shift", "--transform-epochs", "1"],
            ),
            Setting::train(
                "low-rank",
                JOINED,
                &["--transform-ffn", "low-rank", "--transform-epochs", "1"],
            ),
            Setting::train(
                "cross-layer",
                JOINED,
                &["--transform-ffn", "cross-layer", "--transform-epochs", "1"],
            ),
        ],
    },
    Table {
        name: "transformations of copied heads, one epoch of warm-up in four",
        shape: WIDE,
        item: "L6 w=1/2",
        epochs: 4,
        least_seeds: 3,
        tuned: false,
        settings: &[
            Setting::default("none"),
            Setting::train(
                "low-rank",
                &[],
                &["--transform-heads", "low-rank", "--transform-epochs", "1"],
            ),
        ],
    },
    Table {
        name: "projection policies, one epoch, each at its own learning rate",
        shape: &["--depth", "6"],
        item: "L6 w=1",
        epochs: 1,
        least_seeds: 5,
        tuned: true,
        settings: &[
            Setting::default("rescaled"),
            Setting::expand("centroid", &["--projection", "centroid"]),
            Setting {
                condense: &["--keep-projection"],
                ..Setting::expand("origin", &["--projection", "origin"])
            },
            Setting::condense("refit-ancestor", &["--refit", "ancestor"]),
            Setting::condense("refit-own", &["--refit", "own"]),
        ],
    },
    Table {
        name: "feed-forward networks joined",
        shape: FULL,
        item: "L12 w=1",
        epochs: 2,
        least_seeds: 3,
        tuned: false,
        settings: &[
            Setting::default("each layer its own"),
            Setting::condense("joined", JOINED),
            Setting::condense("joined, refit", &["--ffn-eps", "auto", "--refit", "ancestor"]),
        ],
    },
];

/// The table of projection policies.
pub(crate) fn projections() -> &'static Table {
    let is_wanted = |table: &&Table| table.name.starts_with("projection policies");
    TABLES.iter().find(is_wanted).expect("one of the tables above")
}

/// Number of settings of all tables.
pub(crate) fn settings() -> usize {
    TABLES.iter().map(|table| table.settings.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_one_default() {
        for table in &TABLES {
            let defaults = table.settings.iter().filter(|setting| setting.is_default).count();
            assert_eq!(defaults, 1, "{}", table.name);
        }
    }
}
