//! What runs depend on beside their commands: sources, files, datasets.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::step::{Word, hex};

/// SHA-256 over the sources that the program is built from, `files` being those of the repository.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn code(root: &Path, files: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files.iter().filter(|file| is_source(file)) {
        let bytes =
            fs::read(root.join(file)).with_context(|| format!("cannot read {}", file.display()))?;
        // With `/` on every machine.
        let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
        hash.update(format!("{} {}\n", parts.join("/"), bytes.len()));
        hash.update(bytes);
    }
    Ok(hex(&hash.finalize()))
}

/// Whether the program is built from a file. The page is drawn from results, so none depends on it.
fn is_source(file: &Path) -> bool {
    let parts: Vec<_> = file.iter().filter_map(|part| part.to_str()).collect();
    match parts[..] {
        // Profiles, features of dependencies and their versions, and the compiler.
        ["Cargo.toml" | "Cargo.lock" | "rust-toolchain.toml"] => true,
        ["datasets", "Cargo.toml"] | ["datasets", "src" | "sample", ..] => true,
        ["crates", "learngene-report", ..] => false,
        ["crates", "learngene", "src", "commands", "report.rs"] => false,
        ["crates", _, "Cargo.toml"] | ["crates", _, "src", ..] => true,
        _ => false,
    }
}

/// Files and datasets as words of commands.
pub(crate) struct Inputs {
    root: PathBuf,
    /// What `learngene list datasets --json` prints.
    datasets: Value,
    hashes: RefCell<BTreeMap<String, String>>,
}

impl Inputs {
    pub(crate) fn new(root: &Path, datasets: Value) -> Self {
        Self { root: root.to_owned(), datasets, hashes: RefCell::default() }
    }

    /// The folder that commands are run in.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file with its hash.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn file(&self, path: &str) -> Result<Word> {
        let known = self.hashes.borrow().get(path).cloned();
        let sha256 = match known {
            Some(sha256) => sha256,
            None => {
                let bytes = fs::read(self.root.join(path))
                    .with_context(|| format!("cannot read {path}"))?;
                hex(&Sha256::digest(bytes))
            }
        };
        self.hashes.borrow_mut().insert(path.to_owned(), sha256.clone());
        Ok(Word::File { path: path.to_owned(), sha256 })
    }

    /// A field of a dataset, as `learngene list datasets --json` has it.
    ///
    /// # Errors
    /// When no dataset has this name, or it no such number.
    pub(crate) fn count(&self, dataset: &str, field: &str) -> Result<u64> {
        let number = self.entry(dataset)?[field].as_u64();
        number.with_context(|| format!("the dataset {dataset} has no number `{field}`"))
    }

    /// A dataset that is on this machine.
    ///
    /// # Errors
    /// When it is not, or none has this name.
    pub(crate) fn dataset(&self, name: &str) -> Result<Word> {
        let mut entry = self.entry(name)?.clone();
        if entry["is_in_cache"] != true {
            let how = match entry["is_fetched"] == true {
                true => format!("learngene data fetch {name}"),
                false => "learngene list datasets says where to get it".to_owned(),
            };
            anyhow::bail!("the dataset {name} is not here: {how}");
        }
        // Sizes, layout and published checksums; the images of the sample are among the sources.
        if let Some(entry) = entry.as_object_mut() {
            for field in ["is_in_cache", "is_fetched", "source", "licence", "title"] {
                entry.remove(field);
            }
        }
        let version = hex(&Sha256::digest(entry.to_string()));
        Ok(Word::Dataset { name: name.to_owned(), version })
    }

    fn entry(&self, name: &str) -> Result<&Value> {
        let mut entries = self.datasets.as_array().into_iter().flatten();
        let entry = entries.find(|entry| entry["name"] == name);
        entry.with_context(|| format!("no dataset is called {name}: see `learngene list datasets`"))
    }

    /// Flags as words; those behind `--images` and `--data` are datasets, `{seed}` is the seed.
    ///
    /// # Errors
    /// When a dataset is not here.
    pub(crate) fn flags(&self, flags: &str, seed: u64) -> Result<Vec<Word>> {
        let mut words: Vec<Word> = Vec::new();
        for text in flags.split_whitespace() {
            let is_data = matches!(words.last(),
                Some(Word::Text(flag)) if flag == "--images" || flag == "--data");
            words.push(match is_data {
                true => self.dataset(text)?,
                false => Word::Text(text.replace("{seed}", &seed.to_string())),
            });
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inputs(root: &Path) -> Inputs {
        let here = json!({"name": "sample", "train": 20, "is_in_cache": true});
        let not = json!({"name": "food", "is_in_cache": false, "is_fetched": false});
        let fetched = json!({"name": "mnist", "is_in_cache": false, "is_fetched": true});
        Inputs::new(root, json!([here, not, fetched]))
    }

    fn check_source(file: &str, expected: bool) {
        assert_eq!(is_source(Path::new(file)), expected, "{file}");
    }

    #[test]
    fn the_program_is_built_from_crates_and_datasets_but_not_the_page() {
        check_source("crates/learngene-models/src/swin/windows.rs", true);
        check_source("crates/learngene/Cargo.toml", true);
        check_source("Cargo.lock", true);
        check_source("Cargo.toml", true);
        check_source("rust-toolchain.toml", true);
        check_source("datasets/sample/train.png", true);
        check_source("crates/learngene-models/README.md", false);
        check_source("crates/learngene-report/src/data.rs", false);
        check_source("crates/learngene/src/commands/report.rs", false);
        check_source("xtask/src/main.rs", false);
        check_source("README.md", false);
    }

    #[test]
    fn the_hash_of_the_sources_is_of_their_names_and_bytes() {
        let root = tempfile::tempdir().expect("a folder");
        let of = |name: &str, text: &str| {
            fs::write(root.path().join(name), text).expect("a file");
            code(root.path(), &[name.into()]).expect("it is there")
        };
        let first = of("Cargo.lock", "1");
        assert_eq!(of("Cargo.lock", "1"), first);
        assert_ne!(of("Cargo.lock", "2"), first);
        assert_eq!(of("README.md", "1"), of("README.md", "2"));
    }

    fn check_dataset(name: &str, error: &str) {
        let found = inputs(Path::new(".")).dataset(name).expect_err("not here");
        assert_eq!(found.to_string(), error);
    }

    #[test]
    fn a_dataset_that_is_not_here_is_told_with_what_to_do() {
        check_dataset(
            "food",
            "the dataset food is not here: learngene list datasets says where to get it",
        );
        check_dataset("mnist", "the dataset mnist is not here: learngene data fetch mnist");
        check_dataset("nist", "no dataset is called nist: see `learngene list datasets`");
    }

    #[test]
    fn flags_are_words() {
        let flags = inputs(Path::new(".")).flags("--images sample --random-heads {seed}", 7);
        let [images, data, flag, seed] = &flags.expect("it is here")[..] else { panic!("four") };
        assert!(matches!(images, Word::Text(text) if text == "--images"));
        assert!(matches!(data, Word::Dataset { name, .. } if name == "sample"));
        assert!(matches!(flag, Word::Text(text) if text == "--random-heads"));
        assert!(matches!(seed, Word::Text(text) if text == "7"));
    }

    #[test]
    fn a_count_that_is_not_known_is_an_error() {
        let root = Path::new(".");
        assert_eq!(inputs(root).count("sample", "train").expect("known"), 20);
        let error = inputs(root).count("sample", "test").expect_err("unknown");
        assert_eq!(error.to_string(), "the dataset sample has no number `test`");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let error = inputs(Path::new(".")).file("no_such_file").expect_err("missing");
        assert_eq!(error.to_string(), "cannot read no_such_file");
    }
}
