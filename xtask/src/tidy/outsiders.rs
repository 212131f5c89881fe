//! Dependencies from outside that only some crates may have.

use super::Finding;
use crate::workspace::Package;

/// Crates from outside, by the start of their names, with the crates of the workspace that may know
/// them. Dev-dependencies count, but the integration tests may know everything.
const RESERVED: &[(&[&str], &[&str])] = &[
    (&["linfa", "ndarray", "kmeans"], &["learngene-clustering"]),
    (&["anyhow"], &["learngene", "xtask"]),
    (
        &["burn"],
        &[
            "learngene",
            "learngene-clustering",
            "learngene-expansion",
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
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        for (outsiders, allowed) in RESERVED {
            let is_reserved = outsiders.iter().any(|start| is_of(&dependency.name, start));
            if is_reserved && !allowed.contains(&package.name.as_str()) {
                let message = format!(
                    "depends on {}, which is reserved for {}",
                    dependency.name,
                    allowed.join(", ")
                );
                findings.push(Finding::new(&package.name, message));
            }
        }
    }
    findings
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
    fn linfa_and_ndarray_belong_to_clustering() {
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
            &["learngene-models: depends on ndarray, which is reserved for learngene-clustering"],
        );
    }

    #[test]
    fn format_and_xtask_do_not_know_burn() {
        for name in ["learngene-format", "xtask"] {
            assert_eq!(check(&[package(name, vec![dependency("burn-core", None, &[])])]).len(), 1);
        }
        check_outsider("learngene-models", None, "burn-store", &[]);
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
