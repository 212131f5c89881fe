//! Dependencies from outside that only some crates may have.

use super::Finding;
use crate::workspace::{Dependency, Package};

/// Crates from outside, by the start of their names, with the crates of the workspace that may know
/// them; of several rows the first counts. Dev-dependencies count, but the integration tests may know
/// everything.
const RESERVED: &[(&[&str], &[&str])] = &[
    (&["linfa", "kmeans"], &["learngene-clustering"]),
    (&["ndarray"], &["learngene-clustering", "learngene-least-squares"]),
    (&["anyhow"], &["learngene", "xtask"]),
    // It unpickles PyTorch's .pth files, and names the parameters of a module.
    (&["burn-store"], &["learngene-checkpoints", "learngene-models"]),
    (
        &["burn"],
        &[
            "learngene",
            "learngene-condensing",
            "learngene-kernels",
            "learngene-models",
            "learngene-training",
        ],
    ),
];

/// Finds dependencies that are reserved for other crates.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .filter(|package| package.name != "learngene-tests")
        .flat_map(check_package)
        .collect()
}

fn check_package(package: &Package) -> Vec<Finding> {
    let check = |dependency: &Dependency| {
        let name = &dependency.name;
        let is_reserved = |outsiders: &[&str]| outsiders.iter().any(|start| is_of(name, start));
        let (_, allowed) = RESERVED.iter().find(|(outsiders, _)| is_reserved(outsiders))?;
        let message = format!("depends on {name}, which is reserved for {}", allowed.join(", "));
        let is_allowed = allowed.contains(&package.name.as_str());
        (!is_allowed).then(|| Finding::new(&package.name, message))
    };
    package.dependencies.iter().filter_map(check).collect()
}

/// Whether a crate is `family` itself or one of its parts, such as `linfa-clustering` of `linfa`.
fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::test_packages::{dependency, package};

    fn check_outsider(from: &str, kind: Option<&str>, to: &str, expected: &[&str]) {
        let members = [package(from, vec![dependency(to, kind, &[])])];
        let found: Vec<String> = check(&members).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn linfa_belongs_to_clustering_and_ndarray_to_who_computes_on_the_host() {
        check_outsider("learngene-clustering", None, "linfa-clustering", &[]);
        check_outsider(
            "learngene-training",
            None,
            "linfa-nn",
            &[
                "learngene-training: depends on linfa-nn, which is reserved for learngene-clustering",
            ],
        );
        check_outsider(
            "learngene-models",
            Some("dev"),
            "ndarray",
            &[
                "learngene-models: depends on ndarray, which is reserved for learngene-clustering, learngene-least-squares",
            ],
        );
    }

    #[test]
    fn what_describes_models_does_not_know_burn() {
        for name in ["learngene-shape", "learngene-format", "learngene-expansion", "xtask"] {
            assert_eq!(check(&[package(name, vec![dependency("burn-core", None, &[])])]).len(), 1);
        }
        check_outsider(
            "learngene-checkpoints",
            None,
            "burn",
            &[
                "learngene-checkpoints: depends on burn, which is reserved for learngene, learngene-condensing, learngene-kernels, learngene-models, learngene-training",
            ],
        );
    }

    #[test]
    fn burn_store_reads_checkpoints_and_modules() {
        check_outsider("learngene-checkpoints", None, "burn-store", &[]);
        check_outsider("learngene-models", None, "burn-store", &[]);
        check_outsider(
            "learngene-training",
            None,
            "burn-store",
            &[
                "learngene-training: depends on burn-store, which is reserved for learngene-checkpoints, learngene-models",
            ],
        );
    }

    #[test]
    fn only_programs_use_anyhow() {
        check_outsider(
            "learngene-format",
            None,
            "anyhow",
            &["learngene-format: depends on anyhow, which is reserved for learngene, xtask"],
        );
    }

    #[test]
    fn integration_tests_may_know_everything() {
        check_outsider("learngene-tests", Some("dev"), "ndarray", &[]);
    }

    #[test]
    fn a_longer_word_is_another_crate() {
        check_outsider("learngene-format", None, "burnish", &[]);
    }
}
