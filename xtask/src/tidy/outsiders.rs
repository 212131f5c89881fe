//! Dependencies from outside that only some crates may have.

use super::Finding;
use crate::workspace::{Dependency, Package};

/// Crates from outside, by the start of their names, with the crates of the workspace that may know
/// them; dev-dependencies are free.
const RESERVED: &[(&[&str], &[&str])] = &[
    (&["linfa", "kmeans"], &["learngene-clustering"]),
    (&["ndarray"], &["learngene-clustering", "learngene-condensing", "learngene-least-squares"]),
    (&["anyhow"], &["learngene", "xtask"]),
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
    packages.iter().flat_map(check_package).collect()
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
    package
        .dependencies
        .iter()
        .filter(|dependency| !dependency.is_dev())
        .filter_map(check)
        .collect()
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
    fn only_programs_use_anyhow() {
        check_outsider(
            "learngene-format",
            None,
            "anyhow",
            &["learngene-format: depends on anyhow, which is reserved for learngene, xtask"],
        );
    }

    #[test]
    fn tests_may_know_everything() {
        check_outsider("learngene-checkpoints", Some("dev"), "burn", &[]);
    }

    #[test]
    fn a_longer_word_is_another_crate() {
        check_outsider("learngene-format", None, "burnish", &[]);
    }
}
