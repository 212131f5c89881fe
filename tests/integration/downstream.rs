//! Each crate under `tests/downstream` uses one component and must not compile the others.

use std::{collections::BTreeSet, env, fs, process::Command};

use learngene_tests::repository;

#[test]
fn reading_a_learngene_compiles_no_burn() {
    check("format_only", &["learngene-format"], &["burn", "linfa", "ndarray"]);
}

#[test]
fn making_a_descendant_compiles_no_burn_and_nothing_of_ancestors() {
    let absent = ["burn", "linfa", "learngene-clustering", "learngene-checkpoints"];
    check("expansion_only", &["learngene-expansion"], &absent);
}

#[test]
fn running_a_model_compiles_nothing_of_learngenes() {
    let absent = ["learngene-format", "learngene-checkpoints", "linfa", "ndarray", "burn-train"];
    check("models_only", &["learngene-models", "burn"], &absent);
}

/// Checks that a downstream crate depends on every crate of `present`, and on none of `absent` nor of
/// their parts, such as `linfa-clustering` of `linfa`.
fn check(downstream: &str, present: &[&str], absent: &[&str]) {
    let tree = dependencies(downstream);
    for name in present {
        assert!(tree.contains(*name), "{downstream} does not depend on {name}: {tree:?}");
    }
    for family in absent {
        let is_part = |name: &&String| {
            name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let parts: Vec<&String> = tree.iter().filter(is_part).collect();
        assert_eq!(parts, Vec::<&String>::new(), "{downstream} compiles {family}");
    }
}

/// Names of all that a downstream crate compiles on this machine, itself included.
fn dependencies(downstream: &str) -> BTreeSet<String> {
    let folder = repository().join("tests/downstream").join(downstream);
    // The workspace's versions: their manifests are on this machine, so nothing is fetched.
    fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock"))
        .expect("the folder is ours");

    let tree = |offline: &[&str]| {
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["tree", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
            .args(offline)
            .current_dir(&folder)
            .output()
            .expect("cargo runs this test")
    };
    let mut output = tree(&[]);
    if !output.status.success() {
        output = tree(&["--offline"]);
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let listing = String::from_utf8(output.stdout).expect("names of crates are ASCII");
    listing.lines().filter_map(|line| line.split_whitespace().next()).map(Into::into).collect()
}
