//! Tells the program the commit that it is built from, where it is built in a clone of the repository.

use std::{env, path::Path, process::Command};

const COMMIT: &str = "LEARNGENE_COMMIT";

fn main() {
    println!("cargo::rerun-if-env-changed={COMMIT}");
    // What makes another commit, or other sources than those of a commit.
    for changed in
        ["../../.git/HEAD", "../../.git/logs/HEAD", "..", "../../datasets/src", "../../Cargo.lock"]
    {
        // A file that is absent would have this script run every time.
        if Path::new(changed).exists() {
            println!("cargo::rerun-if-changed={changed}");
        }
    }
    // Programs for use alone: in development every commit would compile the program again.
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let found = || is_release.then(commit).flatten();
    if let Some(commit) = env::var(COMMIT).ok().or_else(found) {
        println!("cargo::rustc-env={COMMIT}={commit}");
    }
}

/// The commit that is checked out, with `-dirty` where files differ from it; none without git.
fn commit() -> Option<String> {
    let describe = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"];
    let output = Command::new("git").args(describe).output().ok()?;
    let commit = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(commit.trim().to_owned())
}
