//! Backends of burn: only the program chooses one; the kernels name Flex behind a feature.

use super::Finding;
use crate::workspace::Package;

/// burn's features, and the ends of its crates' names, that stand for a backend.
const BACKENDS: &[&str] = &[
    "candle", "cpu", "cuda", "flex", "metal", "ndarray", "remote", "rocm", "router", "tch",
    "vulkan", "webgpu", "wgpu",
];

/// Crates that may name a backend in an ordinary dependency or in a feature of theirs.
const ALLOWED: &[&str] = &["learngene", "learngene-kernels", "learngene-tests"];

/// Finds backends named by other crates than [`ALLOWED`]; dev-dependencies are free.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .filter(|package| !ALLOWED.contains(&package.name.as_str()))
        .flat_map(|package| {
            let named = dependencies(package).into_iter().chain(features(package));
            named.map(|what| Finding::new(&package.name, format!("names a backend: {what}")))
        })
        .collect()
}

/// `burn-flex`, or `burn` with the feature `flex`.
fn dependencies(package: &Package) -> Vec<String> {
    let mut named = Vec::new();
    for dependency in package.dependencies.iter().filter(|dependency| !dependency.is_dev()) {
        let Some(part) = dependency.name.strip_prefix("burn") else { continue };
        if part.strip_prefix('-').is_some_and(|part| BACKENDS.contains(&part)) {
            named.push(dependency.name.clone());
        }
        let chosen = dependency.features.iter().filter(|f| BACKENDS.contains(&f.as_str()));
        named.extend(chosen.map(|feature| format!("{}/{feature}", dependency.name)));
    }
    named
}

/// A feature that turns on `burn/flex` or `burn?/flex`.
fn features(package: &Package) -> Vec<String> {
    package
        .features
        .values()
        .flatten()
        .filter(|value| {
            value.split_once('/').is_some_and(|(name, feature)| {
                name.starts_with("burn") && BACKENDS.contains(&feature)
            })
        })
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::test_packages::{dependency, package};

    fn check_backend(
        from: &str,
        kind: Option<&str>,
        to: &str,
        features: &[&str],
        expected: &[&str],
    ) {
        let members = [package(from, vec![dependency(to, kind, features)])];
        let found: Vec<String> = check(&members).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_library_does_not_turn_on_a_backend() {
        check_backend(
            "learngene-models",
            None,
            "burn",
            &["std", "flex"],
            &["learngene-models: names a backend: burn/flex"],
        );
        check_backend(
            "learngene-models",
            None,
            "burn-cuda",
            &[],
            &["learngene-models: names a backend: burn-cuda"],
        );
    }

    #[test]
    fn a_feature_of_a_library_does_not_either() {
        let mut models = package("learngene-models", vec![]);
        models.features.insert("gpu".into(), vec!["burn?/vulkan".into(), "burn/std".into()]);
        let found: Vec<String> = check(&[models]).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["learngene-models: names a backend: burn?/vulkan"]);
    }

    #[test]
    fn the_program_the_kernels_and_tests_may() {
        check_backend("learngene", None, "burn", &["flex", "cuda"], &[]);
        check_backend("learngene-kernels", None, "burn-flex", &[], &[]);
        check_backend("learngene-models", Some("dev"), "burn", &["flex"], &[]);
    }

    #[test]
    fn other_features_of_burn_are_free() {
        check_backend("learngene-training", None, "burn", &["std", "train", "autodiff"], &[]);
    }
}
