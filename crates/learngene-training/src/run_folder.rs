//! The folder of a run: what it leaves, and what it resumes from.
//!
//! ```text
//! recipe.toml         the resolved recipe
//! start.json          the model and the images that the run began with
//! metrics.jsonl       one line an evaluation
//! last.safetensors    the model after the last epoch, timm's names
//! best.safetensors    the model of the best evaluation
//! checkpoints/        model, optimizer and scheduler of the last two epochs, until the run ends
//! ```

use std::{
    io,
    path::{Path, PathBuf},
};

use burn::{lr_scheduler::LrSchedulerRecord, optim::OptimizerRecord, store::ModuleRecord};
use burn_train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError};
use learngene_files::write_whole;

use crate::{Recipe, TrainingError, start::Start};

/// Paths inside the folder of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// Opens a folder for a run of this recipe and start, making it where there is none.
    pub(crate) fn open(
        folder: &Path,
        recipe: &Recipe,
        start: &Start,
    ) -> Result<Self, TrainingError> {
        let this = Self(folder.to_owned());
        let identity = [
            (folder.join("recipe.toml"), recipe.to_toml()),
            (folder.join("start.json"), start.to_json()),
        ];
        // All is compared before anything is written into what may be another run's folder.
        for (path, wanted) in &identity {
            match std::fs::read_to_string(path) {
                Ok(found) if found == *wanted => {}
                Ok(found) => {
                    let differs = first_difference(&found, wanted);
                    return Err(TrainingError::OtherRun { path: path.clone(), differs });
                }
                Err(error) if is_absent(&error) => {}
                Err(source) => return Err(TrainingError::Read { path: path.clone(), source }),
            }
        }
        let checkpoints = this.checkpoints();
        std::fs::create_dir_all(&checkpoints)
            .map_err(|source| TrainingError::Write { path: checkpoints, source })?;
        for (path, wanted) in identity {
            write_whole(&path, [wanted]).map_err(|source| TrainingError::Write { path, source })?;
        }
        Ok(this)
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

    /// The newest epoch whose three records can all be read.
    pub(crate) fn newest_checkpoint(&self) -> Option<usize> {
        let mut epochs: Vec<usize> = std::fs::read_dir(self.checkpoints())
            .ok()?
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                name.strip_prefix("model-")?.strip_suffix(".bpk")?.parse().ok()
            })
            .collect();
        epochs.sort_unstable();
        epochs.into_iter().rev().find(|epoch| {
            let path = |name| WholeFile { folder: self.checkpoints(), name }.path(*epoch);
            ModuleRecord::load(path("model")).is_ok()
                && OptimizerRecord::load(path("optim")).is_ok()
                && <LrSchedulerRecord as Checkpoint>::load(path("scheduler")).is_ok()
        })
    }

    /// Removes what only an unfinished run needs.
    pub(crate) fn finish(&self) -> Result<(), TrainingError> {
        let path = self.checkpoints();
        std::fs::remove_dir_all(&path).map_err(|source| TrainingError::Write { path, source })
    }
}

/// Whether there is no such file, be it that its folder is none.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn first_difference(found: &str, wanted: &str) -> String {
    found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted).map_or_else(
        || "another length".into(),
        |(found, wanted)| format!("found {}, wanted {}", trimmed(found), trimmed(wanted)),
    )
}

/// A line without its indentation and the comma at its end.
fn trimmed(line: &str) -> &str {
    line.trim().trim_end_matches(',')
}

/// Checkpoints of one kind, each written whole or not at all.
pub(crate) struct WholeFile {
    pub(crate) folder: PathBuf,
    pub(crate) name: &'static str,
}

impl WholeFile {
    fn path(&self, epoch: usize) -> PathBuf {
        self.folder.join(format!("{}-{epoch}.bpk", self.name))
    }
}

impl<R: Checkpoint> Checkpointer<R> for WholeFile {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        let bytes = record.checkpoint_into_bytes().map_err(CheckpointerError::Record)?;
        let path = self.path(epoch);
        write_whole(&path, [&bytes[..]]).map_err(|source| {
            CheckpointerError::Unknown(TrainingError::Write { path, source }.to_string())
        })
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        R::load(self.path(epoch))
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        match std::fs::remove_file(self.path(epoch)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CheckpointerError::IOError(error))
            }
            _ => Ok(()),
        }
    }
}
