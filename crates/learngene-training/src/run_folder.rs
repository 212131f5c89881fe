//! The folder of a run: what it leaves, and what it resumes from.
//!
//! ```text
//! recipe.toml         the resolved recipe
//! start.json          the model and the images that the run began with
//! environment.json    versions and devices, as the program tells them
//! metrics.jsonl       one line an evaluation
//! summary.csv         the same as a table
//! events.out.tfevents.0.learngene     the same for TensorBoard
//! last.safetensors    the model after the last epoch, timm's names; it tells how images were prepared
//! best.safetensors    the model of the best evaluation
//! last_ema.safetensors, best_ema.safetensors      the same of the average, where there is one
//! checkpoints/step-N/ what the run needs to go on after that step; the newest two, until it ends
//! ```

use std::{
    io,
    path::{Path, PathBuf},
};

use learngene_tensors::{remove_partial, write_whole};

use crate::{Recipe, TrainingError, saved::Saved, start::Start};

/// Paths inside the folder of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// Opens a folder for a run of this recipe and start, making it where there is none. A run there
    /// that came to nothing is begun anew, as this one.
    pub(crate) fn open(
        folder: &Path,
        recipe: &Recipe,
        start: &Start,
    ) -> Result<Self, TrainingError> {
        let this = Self(folder.to_owned());
        let identity =
            [(folder.join("recipe.toml"), recipe.to_toml()), (this.start(), start.to_json())];
        let unnamed = start.without_names().to_json();
        this.check_owner()?;
        // All is compared before anything is written into what may be another run's folder.
        for (path, wanted) in identity.iter().filter(|_| holds_run(folder)) {
            match std::fs::read_to_string(path) {
                Ok(found) if found == *wanted || found == unnamed => {}
                Ok(found) => {
                    let (key, differs) = first_difference(&found, wanted);
                    return Err(TrainingError::OtherRun { path: path.clone(), differs, key });
                }
                Err(error) if is_absent(&error) => {}
                Err(source) => return Err(TrainingError::Read { path: path.clone(), source }),
            }
        }
        let checkpoints = this.checkpoints();
        std::fs::create_dir_all(&checkpoints)
            .and_then(|()| remove_partial(folder))
            .map_err(|source| TrainingError::Write { path: checkpoints, source })?;
        // The start first: what has none is no run's.
        for (path, wanted) in identity.into_iter().rev() {
            write_whole(&path, [wanted]).map_err(|source| TrainingError::Write { path, source })?;
        }
        Ok(this)
    }

    /// Refuses to write over files of the names that a run has where no run began.
    fn check_owner(&self) -> Result<(), TrainingError> {
        let mut names = [
            self.0.join("recipe.toml"),
            self.metrics(),
            self.summary(),
            self.last(),
            self.best(),
            self.last_ema(),
            self.best_ema(),
        ]
        .into_iter();
        match names.find(|path| path.exists()) {
            Some(path) if !self.start().exists() => Err(TrainingError::NoRun { path }),
            _ => Ok(()),
        }
    }

    fn start(&self) -> PathBuf {
        self.0.join("start.json")
    }

    /// Notes with what the run is carried out.
    pub(crate) fn note(&self, environment: Option<&str>) -> Result<(), TrainingError> {
        let Some(environment) = environment else { return Ok(()) };
        let path = self.0.join("environment.json");
        write_whole(&path, [environment]).map_err(|source| TrainingError::Write { path, source })
    }

    pub(crate) fn metrics(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }

    pub(crate) fn last(&self) -> PathBuf {
        self.0.join("last.safetensors")
    }

    pub(crate) fn best(&self) -> PathBuf {
        self.0.join("best.safetensors")
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    pub(crate) fn summary(&self) -> PathBuf {
        self.0.join("summary.csv")
    }

    /// TensorBoard knows its files by the middle of their names; in the place of `0` stands a time.
    pub(crate) fn events(&self) -> PathBuf {
        self.0.join("events.out.tfevents.0.learngene")
    }

    pub(crate) fn last_ema(&self) -> PathBuf {
        self.0.join("last_ema.safetensors")
    }

    pub(crate) fn best_ema(&self) -> PathBuf {
        self.0.join("best_ema.safetensors")
    }

    /// The newest state to go on from.
    pub(crate) fn newest_state(&self) -> Option<Saved> {
        Saved::newest(&self.checkpoints())
    }

    /// Removes what only an unfinished run needs.
    pub(crate) fn finish(&self) -> Result<(), TrainingError> {
        let path = self.checkpoints();
        std::fs::remove_dir_all(&path).map_err(|source| TrainingError::Write { path, source })
    }
}

impl Recipe {
    /// The same recipe in the passes of the run that a folder holds, where there is one and the recipe
    /// leaves them open: they follow from the memory of the machine that it began on, and it goes on
    /// on any.
    pub fn going_on_in(self, folder: &Path) -> Self {
        let is_open = self.images_per_pass == 0 && holds_run(folder);
        let begun = is_open.then(|| Self::read(&folder.join("recipe.toml")).ok()).flatten();
        match begun {
            Some(begun) => Self { images_per_pass: begun.images_per_pass, ..self },
            None => self,
        }
    }
}

/// Whether a folder holds anything that a run came to: an evaluation, a model, or a state to go on from.
pub fn holds_run(folder: &Path) -> bool {
    let folder = RunFolder(folder.to_owned());
    folder.metrics().exists() || folder.last().exists() || Saved::is_any(&folder.checkpoints())
}

/// Whether there is no such file, be it that its folder is none.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The key of the first line that differs, and both lines.
fn first_difference(found: &str, wanted: &str) -> (String, String) {
    let mut lines = found.lines().zip(wanted.lines()).enumerate();
    let Some((index, (line, other))) = lines.find(|(_, (line, other))| line != other) else {
        return (String::new(), "another length".into());
    };
    // Of fields that one of them lacks, the one that is lacking.
    let key = match (key(found, index), key(wanted, index)) {
        (in_found, in_wanted) if keys(wanted).any(|key| key == in_found) => in_wanted,
        (in_found, _) => in_found,
    };
    (key.to_owned(), format!("found {}, wanted {}", trimmed(line), trimmed(other)))
}

/// The key of a line of TOML or JSON; that of its list for an entry of one.
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

    fn check(found: &str, wanted: &str, want: &str) {
        assert_eq!(first_difference(found, wanted).0, want);
    }

    #[test]
    fn a_run_goes_on_in_its_passes_whatever_the_memory() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let begun = Recipe { images_per_pass: 4, ..Recipe::default() };
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("the folder is writable");
        };
        let open = || Recipe::default().going_on_in(folder.path());
        write("recipe.toml", &begun.to_toml());
        assert_eq!(open(), Recipe::default(), "the run there came to nothing");
        write("metrics.jsonl", "");
        assert_eq!(open(), begun);
        let asked = Recipe { images_per_pass: 9, ..Recipe::default() };
        assert_eq!(asked.clone().going_on_in(folder.path()), asked);
    }

    #[test]
    fn keys_that_differ() {
        check("a = 1\nb = 2\n", "a = 1\nb = 3\n", "b");
        check("{\n  \"a\": 1\n}", "{\n  \"a\": 2\n}", "a");
        check("\"list\": [\n  1,\n  2\n]", "\"list\": [\n  1,\n  3\n]", "list");
        check("\"half\": 1,\n\"last\": 2", "\"last\": 2", "half");
        check("\"last\": 2", "\"half\": 1,\n\"last\": 2", "half");
        check("epochs = 1\nwarmup_epochs = 2", "warmup_epochs = 2", "epochs");
    }
}
