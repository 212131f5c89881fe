//! What a run needs to go on: a folder, written whole or not at all, that tells the hashes of its
//! files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use burn::{module::Module, optim::OptimizerRecord, store::ModuleRecord, tensor::Bytes};
use learngene_tensors::write_folder_whole;
use learngene_models::Classifier;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{TrainingError, trainer::Trainer};

const STATE: &str = "state.json";
const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const EMA: &str = "ema.bpk";
/// The newest ones that are kept: should one turn out bad, the other is there.
const KEPT: usize = 2;

/// The state of a run after a step. Order of images, augmentation and schedule follow from the seed
/// and the step.
pub(crate) struct Saved {
    pub(crate) step: usize,
    pub(crate) losses: Losses,
    model: ModuleRecord,
    optimizer: OptimizerRecord,
    ema: Option<ModuleRecord>,
}

/// Losses since the last evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Losses {
    pub(crate) sum: f32,
    pub(crate) steps: usize,
}

/// The file that tells of the others.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    step: usize,
    losses: Losses,
    sha256: BTreeMap<String, String>,
}

impl Saved {
    /// Writes the state of a run into a folder of states, and removes the oldest ones there.
    pub(crate) fn write<C: Classifier + 'static>(
        folder: &Path,
        trainer: &Trainer<C>,
        ema: Option<&C>,
        losses: Losses,
    ) -> Result<(), TrainingError> {
        let path = folder.join(format!("step-{}", trainer.done));
        let refused = |error: burn::store::RecordError| TrainingError::Stopped(error.to_string());
        let mut files = BTreeMap::new();
        let model = trainer.trainee.clone().into_record();
        files.insert(MODEL, model.into_bytes().map_err(refused)?);
        files.insert(OPTIMIZER, trainer.optimizer.to_record().into_bytes().map_err(refused)?);
        if let Some(ema) = ema {
            files.insert(EMA, ema.clone().into_record().into_bytes().map_err(refused)?);
        }
        let hashes = files.iter().map(|(name, bytes)| ((*name).to_owned(), sha256(bytes)));
        let state = State { step: trainer.done, losses, sha256: hashes.collect() };
        let state = serde_json::to_vec_pretty(&state).expect("a state is plain numbers and texts");
        let mut files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        files.push((STATE, &state));
        write_folder_whole(&path, files)
            .and_then(|()| remove_oldest(folder))
            .map_err(|source| TrainingError::Write { path, source })
    }

    /// Whether a folder has any state, be it damaged.
    pub(crate) fn is_any(folder: &Path) -> bool {
        !steps(folder).is_empty()
    }

    /// The newest state in a folder whose files are as they were written.
    pub(crate) fn newest(folder: &Path) -> Option<Self> {
        steps(folder).into_iter().rev().find_map(|(_, path)| match Self::read(&path) {
            Ok(saved) => Some(saved),
            Err(reason) => {
                tracing::warn!("{} is left out: {reason}", path.display());
                None
            }
        })
    }

    fn read(path: &Path) -> Result<Self, String> {
        let read =
            |name: &str| fs::read(path.join(name)).map_err(|error| format!("{name}: {error}"));
        let state: State =
            serde_json::from_slice(&read(STATE)?).map_err(|error| format!("{STATE}: {error}"))?;
        let record = |name: &str| {
            let (bytes, wanted) = (read(name)?, state.sha256.get(name));
            if wanted != Some(&sha256(&bytes)) {
                return Err(format!("{name} is not what was written"));
            }
            Ok(Bytes::from_bytes_vec(bytes))
        };
        let refused = |error: burn::store::RecordError| error.to_string();
        let ema = state.sha256.contains_key(EMA).then(|| record(EMA)).transpose()?;
        Ok(Self {
            step: state.step,
            losses: state.losses,
            model: ModuleRecord::from_bytes(record(MODEL)?).map_err(refused)?,
            optimizer: OptimizerRecord::from_bytes(record(OPTIMIZER)?).map_err(refused)?,
            ema: ema.map(ModuleRecord::from_bytes).transpose().map_err(refused)?,
        })
    }

    /// Brings a trainer and the average to this state.
    pub(crate) fn restore<C: Classifier + 'static>(
        self,
        mut trainer: Trainer<C>,
        ema: Option<C>,
    ) -> (Trainer<C>, Option<C>) {
        trainer.trainee = trainer.trainee.load_record(self.model);
        trainer.optimizer = trainer.optimizer.load_record(self.optimizer);
        trainer.done = self.step;
        let ema = ema.map(|ema| match self.ema {
            Some(record) => ema.load_record(record),
            None => ema,
        });
        (trainer, ema)
    }
}

/// The states in a folder, oldest first.
fn steps(folder: &Path) -> Vec<(usize, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut steps: Vec<_> = entries
        .filter_map(|entry| {
            let step = entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect();
    steps.sort_unstable();
    steps
}

fn remove_oldest(folder: &Path) -> std::io::Result<()> {
    let steps = steps(folder);
    let surplus = steps.len().saturating_sub(KEPT);
    steps[..surplus].iter().try_for_each(|(_, path)| fs::remove_dir_all(path))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use learngene_models::{Vit, VitConfig};

    use super::*;
    use crate::Recipe;

    const LOSSES: Losses = Losses { sum: 0.1, steps: 3 };

    /// A folder with the states of these steps.
    fn states(steps: &[usize]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut trainer = trainer();
        for step in steps {
            trainer.done = *step;
            Saved::write(folder.path(), &trainer, None, LOSSES).expect("the folder is writable");
        }
        folder
    }

    fn trainer() -> Trainer<Vit> {
        let vit = VitConfig::uniform(4, 1, 1).with_image_size(4).with_patch_size(4);
        let vit = vit.with_num_classes(2).init(&Device::flex());
        Trainer::new(vit, &Recipe::default(), 1, &[Device::flex()])
    }

    fn check_newest(folder: &tempfile::TempDir, want: Option<usize>) {
        let newest = Saved::newest(folder.path());
        assert_eq!(newest.map(|saved| (saved.step, saved.losses)), want.map(|step| (step, LOSSES)));
    }

    #[test]
    fn two_states_are_kept_and_the_newest_is_found() {
        let folder = states(&[9, 10, 100]);
        check_newest(&folder, Some(100));
        assert_eq!(
            steps(folder.path()).iter().map(|(step, _)| *step).collect::<Vec<_>>(),
            [10, 100]
        );
    }

    #[test]
    fn a_state_that_is_not_whole_is_left_out() {
        let folder = states(&[1, 2]);
        let model = folder.path().join("step-2").join(MODEL);
        let mut bytes = fs::read(&model).expect("it was written");
        *bytes.last_mut().expect("it is not empty") ^= 1;
        fs::write(&model, &bytes).expect("the folder is writable");
        check_newest(&folder, Some(1));
        fs::remove_file(folder.path().join("step-1").join(OPTIMIZER)).expect("it was written");
        check_newest(&folder, None);
    }

    #[test]
    fn no_folder_has_no_state() {
        assert!(Saved::newest(Path::new("no/such/folder")).is_none());
    }
}
