//! The folder of a run: its results, and the states that it resumes from.
//!
//! ```text
//! recipe.toml         the resolved recipe
//! identity.json       the model and the images that the run started from
//! environment.json    versions and devices, as the program gives them
//! metrics.jsonl       one line for each evaluation
//! summary.csv         the same as a table
//! events.out.tfevents.0.learngene     the same for TensorBoard
//! last.safetensors    the model after the last epoch, with timm's names and its preprocessing
//! best.safetensors    the model of the best evaluation
//! last_ema.safetensors, best_ema.safetensors      the same of the average, if there is one
//! checkpoints/step-N/ the state after that step; the newest two, until the run ends
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use learngene_tensors::{Error, remove_partial, write_whole};

use crate::{
    Recipe, TrainingError,
    error::{Result, invalid},
    run_identity::RunIdentity,
    train_state::TrainState,
};

const RECIPE: &str = "recipe.toml";
const IDENTITY: &str = "identity.json";
pub(crate) const METRICS: &str = "metrics.jsonl";
pub(crate) const SUMMARY: &str = "summary.csv";
/// TensorBoard recognises its files by the middle of their names; the `0` stands for a time.
pub(crate) const EVENTS: &str = "events.out.tfevents.0.learngene";
pub(crate) const LAST: &str = "last.safetensors";
/// File of the model of the best evaluation.
pub const BEST: &str = "best.safetensors";
pub(crate) const LAST_EMA: &str = "last_ema.safetensors";
pub(crate) const BEST_EMA: &str = "best_ema.safetensors";

/// The folder of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// Opens a folder for a run of this recipe and identity, and creates it if needed. A run there
    /// that has no results yet is replaced by this one.
    pub(crate) fn open(folder: &Path, recipe: &Recipe, identity: &RunIdentity) -> Result<Self> {
        let this = Self(folder.to_owned());
        let texts =
            [(this.path(RECIPE), recipe.to_toml()), (this.path(IDENTITY), identity.to_json())];
        this.check_owner()?;
        // Everything is compared before anything is written into what may be another run's folder.
        for (path, expected) in texts.iter().filter(|_| holds_run(folder)) {
            match fs::read_to_string(path) {
                Ok(found) if found == *expected => {}
                Ok(found) => {
                    let (key, differs) = first_difference(&found, expected);
                    return Err(TrainingError::OtherRun { path: path.clone(), differs, key });
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(Error::read(path)(error).into()),
            }
        }
        let states = this.states();
        fs::create_dir_all(&states)
            .and_then(|()| remove_partial(folder))
            .map_err(Error::write(&states))?;
        // The identity first, since a folder without one belongs to no run.
        for (path, text) in texts.into_iter().rev() {
            write_whole(&path, [text]).map_err(Error::write(&path))?;
        }
        Ok(this)
    }

    /// Refuses to overwrite files named as those of a run in a folder where no run started.
    fn check_owner(&self) -> Result<()> {
        let names = [RECIPE, METRICS, SUMMARY, LAST, BEST, LAST_EMA, BEST_EMA];
        let mut paths = names.into_iter().map(|name| self.path(name));
        match paths.find(|path| path.exists()) {
            Some(path) if !self.path(IDENTITY).exists() => {
                let found = "a file of no training run (the folder has no identity.json)";
                Err(invalid(path.display().to_string(), found, "no file; choose another folder"))
            }
            _ => Ok(()),
        }
    }

    /// Writes what the run is executed with.
    pub(crate) fn write_environment(&self, environment: Option<&str>) -> Result<()> {
        let Some(environment) = environment else { return Ok(()) };
        let path = self.path("environment.json");
        Ok(write_whole(&path, [environment]).map_err(Error::write(&path))?)
    }

    /// The path of a file or folder in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder of the states to resume from.
    pub(crate) fn states(&self) -> PathBuf {
        self.path("checkpoints")
    }

    /// Removes what only an unfinished run needs.
    pub(crate) fn finish(&self) -> Result<()> {
        let path = self.states();
        Ok(fs::remove_dir_all(&path).map_err(Error::write(&path))?)
    }
}

impl Recipe {
    /// The same recipe with the micro-batch size of the run in that folder, if there is a run and the
    /// recipe leaves the size open. The size may have followed from the memory of another machine, and
    /// a run must resume with the one it started with.
    pub fn resuming_in(self, folder: &Path) -> Self {
        let is_open = self.micro_batch_size == 0 && holds_run(folder);
        let begun = is_open.then(|| Self::read(&folder.join(RECIPE)).ok()).flatten();
        match begun {
            Some(begun) => Self { micro_batch_size: begun.micro_batch_size, ..self },
            None => self,
        }
    }
}

/// Whether a folder holds results of a run: an evaluation, a model, or a state to resume from.
pub fn holds_run(folder: &Path) -> bool {
    let folder = RunFolder(folder.to_owned());
    [METRICS, LAST].iter().any(|name| folder.path(name).exists())
        || TrainState::is_any(&folder.states())
}

/// Whether there is no such file, or its folder is not a folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The key of the first line that differs, and both lines.
fn first_difference(found: &str, expected: &str) -> (String, String) {
    let mut lines = found.lines().zip(expected.lines()).enumerate();
    let Some((index, (line, other))) = lines.find(|(_, (line, other))| line != other) else {
        return (String::new(), "another length".into());
    };
    // If one of them lacks a field, the key is that field.
    let key = match (key(found, index), key(expected, index)) {
        (in_found, in_expected) if keys(expected).any(|key| key == in_found) => in_expected,
        (in_found, _) => in_found,
    };
    (key.to_owned(), format!("found {}, expected {}", trimmed(line), trimmed(other)))
}

/// The key of a line of TOML or JSON; for an entry of a list, the key of the list.
fn key(text: &str, index: usize) -> &str {
    let end = text.split_inclusive('\n').take(index + 1).map(str::len).sum();
    keys(&text[..end]).last().unwrap_or("")
}

/// The keys of TOML or JSON, line by line.
fn keys(text: &str) -> impl Iterator<Item = &str> {
    let key_of = |line| str::split_once(line, " = ").or(str::split_once(line, ": "));
    text.lines().filter_map(key_of).map(|(key, _)| key.trim().trim_matches('"'))
}

/// A line without its indentation and the comma at its end.
fn trimmed(line: &str) -> &str {
    line.trim().trim_end_matches(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_resumes_with_its_micro_batch_size() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let begun = Recipe { micro_batch_size: 4, ..Recipe::default() };
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("the folder is writable");
        };
        let open = || Recipe::default().resuming_in(folder.path());
        write("recipe.toml", &begun.to_toml());
        assert_eq!(open(), Recipe::default(), "the run there has no results");
        write("metrics.jsonl", "");
        assert_eq!(open(), begun);
        let asked = Recipe { micro_batch_size: 9, ..Recipe::default() };
        assert_eq!(asked.clone().resuming_in(folder.path()), asked);
    }

    fn check(found: &str, expected: &str, want: &str) {
        assert_eq!(first_difference(found, expected).0, want);
    }

    #[test]
    fn the_key_of_the_first_difference_is_found() {
        check("a = 1\nb = 2\n", "a = 1\nb = 3\n", "b");
        check("{\n  \"a\": 1\n}", "{\n  \"a\": 2\n}", "a");
        check("\"list\": [\n  1,\n  2\n]", "\"list\": [\n  1,\n  3\n]", "list");
        check("\"half\": 1,\n\"last\": 2", "\"last\": 2", "half");
        check("\"last\": 2", "\"half\": 1,\n\"last\": 2", "half");
        check("epochs = 1\nwarmup_epochs = 2", "warmup_epochs = 2", "epochs");
    }
}
