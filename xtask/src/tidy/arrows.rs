//! Arrows between the crates of the workspace.

use super::Finding;
use crate::workspace::Package;

/// The crates of the workspace and those each may depend on; dev-dependencies are free.
const ARROWS: &[(&str, &[&str])] = &[
    ("learngene-tensors", &[]),
    ("learngene-shape", &["learngene-tensors"]),
    ("learngene-format", &["learngene-shape", "learngene-tensors"]),
    ("learngene-budget", &["learngene-format", "learngene-shape", "learngene-tensors"]),
    ("learngene-checkpoints", &["learngene-shape", "learngene-tensors"]),
    ("learngene-kernels", &[]),
    ("learngene-least-squares", &[]),
    ("learngene-report", &[]),
    ("learngene-datasets", &[]),
    ("learngene-models", &["learngene-kernels", "learngene-shape", "learngene-tensors"]),
    ("learngene-clustering", &["learngene-format", "learngene-tensors"]),
    (
        "learngene-condensing",
        &[
            "learngene-budget",
            "learngene-checkpoints",
            "learngene-clustering",
            "learngene-format",
            "learngene-least-squares",
            "learngene-models",
            "learngene-shape",
            "learngene-tensors",
        ],
    ),
    (
        "learngene-expansion",
        &["learngene-format", "learngene-least-squares", "learngene-shape", "learngene-tensors"],
    ),
    (
        "learngene-training",
        &[
            "learngene-checkpoints",
            "learngene-datasets",
            "learngene-expansion",
            "learngene-kernels",
            "learngene-least-squares",
            "learngene-models",
            "learngene-shape",
            "learngene-tensors",
        ],
    ),
    ("learngene", LIBRARIES),
    ("learngene-tests", LIBRARIES),
    ("xtask", &["learngene-report", "learngene-shape", "learngene-tensors"]),
];

const LIBRARIES: &[&str] = &[
    "learngene-budget",
    "learngene-checkpoints",
    "learngene-clustering",
    "learngene-condensing",
    "learngene-datasets",
    "learngene-expansion",
    "learngene-format",
    "learngene-kernels",
    "learngene-least-squares",
    "learngene-models",
    "learngene-report",
    "learngene-shape",
    "learngene-tensors",
    "learngene-training",
];

/// Finds arrows that [`ARROWS`] does not hold, and crates that it does not know.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages.iter().flat_map(|package| check_package(package, packages)).collect()
}

fn check_package(package: &Package, packages: &[Package]) -> Vec<Finding> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
        let message = "no arrows are written down for this crate in xtask/src/tidy/arrows.rs";
        return vec![Finding::new(&package.name, message)];
    };
    let is_member = |name: &str| packages.iter().any(|member| member.name == name);
    package
        .dependencies
        .iter()
        .filter(|dependency| !dependency.is_dev() && is_member(&dependency.name))
        .filter(|dependency| !allowed.contains(&dependency.name.as_str()))
        .map(|dependency| {
            let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
            let message = format!("depends on {}, allowed: {allowed}", dependency.name);
            Finding::new(&package.name, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::test_packages::{dependency, package};

    fn check_arrow(from: &str, kind: Option<&str>, to: &str, expected: &[&str]) {
        let members = [package(from, vec![dependency(to, kind, &[])]), package(to, vec![])];
        let found: Vec<String> = check(&members).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_arrow_of_the_table_passes() {
        check_arrow("learngene-models", None, "learngene-kernels", &[]);
        check_arrow("learngene", None, "learngene-clustering", &[]);
    }

    #[test]
    fn the_descendants_side_does_not_know_the_ancestors() {
        let allowed =
            "learngene-format, learngene-least-squares, learngene-shape, learngene-tensors";
        for to in ["learngene-condensing", "learngene-clustering", "learngene-models"] {
            let finding = format!("learngene-expansion: depends on {to}, allowed: {allowed}");
            check_arrow("learngene-expansion", None, to, &[&finding]);
        }
    }

    #[test]
    fn a_build_dependency_is_an_arrow_too() {
        check_arrow(
            "learngene-shape",
            Some("build"),
            "learngene-format",
            &["learngene-shape: depends on learngene-format, allowed: learngene-tensors"],
        );
    }

    #[test]
    fn a_dev_dependency_is_not_an_arrow() {
        check_arrow("learngene-models", Some("dev"), "learngene-format", &[]);
    }

    #[test]
    fn a_crate_without_arrows_is_found() {
        check_arrow(
            "learngene-new",
            None,
            "learngene-format",
            &[
                "learngene-new: no arrows are written down for this crate in xtask/src/tidy/arrows.rs",
            ],
        );
    }
}
