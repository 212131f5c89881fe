//! What a run needs to resume: a folder, written whole or not at all, with the hashes of its files.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use burn::{
    module::Module,
    optim::OptimizerRecord,
    store::{ModuleRecord, RecordError},
    tensor::Bytes,
};
use learngene_models::Classifier;
use learngene_tensors::{Error, Sha256, write_folder_whole};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Result, invalid},
    trainer::Trainer,
};

const STATE: &str = "state.json";
const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const EMA: &str = "ema.bpk";
/// The newest states are kept: if one is damaged, the other is used.
const KEPT: usize = 2;

/// The state of a run after a step. Order of images, augmentation and schedule follow from the seed
/// and the step.
pub(crate) struct TrainState {
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

/// The content of `state.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    step: usize,
    losses: Losses,
    /// Hashes of the other files.
    sha256: BTreeMap<String, Sha256>,
}

impl TrainState {
    /// Writes the state of a run into a folder of states, and removes the oldest ones there.
    pub(crate) fn write<C: Classifier + 'static>(
        folder: &Path,
        trainer: &Trainer<C>,
        ema: Option<&C>,
        losses: Losses,
    ) -> Result<()> {
        let path = folder.join(format!("step-{}", trainer.done));
        let refused = |error: RecordError| {
            invalid(path.display().to_string(), error, "a state that can be written")
        };
        let mut files = BTreeMap::new();
        let model = trainer.student.clone().into_record();
        files.insert(MODEL, model.into_bytes().map_err(refused)?);
        files.insert(OPTIMIZER, trainer.optimizer.to_record().into_bytes().map_err(refused)?);
        if let Some(ema) = ema {
            files.insert(EMA, ema.clone().into_record().into_bytes().map_err(refused)?);
        }
        let hashes = files.iter().map(|(name, bytes)| ((*name).to_owned(), Sha256::of(bytes)));
        let state = State { step: trainer.done, losses, sha256: hashes.collect() };
        let state = serde_json::to_vec_pretty(&state).expect("a state is plain numbers and texts");
        let mut files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        files.push((STATE, &state));
        let written = write_folder_whole(&path, files).and_then(|()| remove_oldest(folder));
        Ok(written.map_err(Error::write(&path))?)
    }

    /// Whether a folder has a state, damaged or not.
    pub(crate) fn is_any(folder: &Path) -> bool {
        !steps(folder).is_empty()
    }

    /// The newest state in a folder whose files are undamaged.
    pub(crate) fn newest(folder: &Path) -> Option<Self> {
        steps(folder).into_iter().rev().find_map(|(_, path)| match Self::read(&path) {
            Ok(state) => Some(state),
            Err(reason) => {
                tracing::warn!("{} is ignored: {reason}", path.display());
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
            let bytes = read(name)?;
            if state.sha256.get(name) != Some(&Sha256::of(&bytes)) {
                return Err(format!("{name} has another SHA-256 than {STATE} says"));
            }
            Ok(Bytes::from_bytes_vec(bytes))
        };
        let refused = |error: RecordError| error.to_string();
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
        trainer.student = trainer.student.load_record(self.model);
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

fn remove_oldest(folder: &Path) -> io::Result<()> {
    let steps = steps(folder);
    let surplus = steps.len().saturating_sub(KEPT);
    steps[..surplus].iter().try_for_each(|(_, path)| fs::remove_dir_all(path))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use learngene_models::Model;
    use learngene_shape::{Family, Vit};

    use super::*;
    use crate::Recipe;

    const LOSSES: Losses = Losses { sum: 0.1, steps: 3 };

    /// A folder with the states of these steps.
    fn states(steps: &[usize]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let vit = Vit { image_size: 4, patch_size: 4, num_classes: 2, ..Vit::uniform(4, 1, 1) };
        let vit = Model::init(&vit.shape().expect("a possible shape"), &Device::flex());
        let mut trainer = Trainer::new(vit, &Recipe::default(), 1, &[Device::flex()]);
        for step in steps {
            trainer.done = *step;
            TrainState::write(folder.path(), &trainer, None, LOSSES).expect("it is writable");
        }
        folder
    }

    fn check_newest(folder: &Path, want: Option<usize>) {
        let newest = TrainState::newest(folder);
        assert_eq!(newest.map(|state| (state.step, state.losses)), want.map(|step| (step, LOSSES)));
    }

    #[test]
    fn two_states_are_kept_and_the_newest_is_found() {
        let folder = states(&[9, 10, 100]);
        check_newest(folder.path(), Some(100));
        let kept: Vec<usize> = steps(folder.path()).into_iter().map(|(step, _)| step).collect();
        assert_eq!(kept, [10, 100]);
    }

    #[test]
    fn a_damaged_state_is_ignored() {
        let folder = states(&[1, 2]);
        let model = folder.path().join("step-2").join(MODEL);
        let mut bytes = fs::read(&model).expect("it was written");
        *bytes.last_mut().expect("it is not empty") ^= 1;
        fs::write(&model, &bytes).expect("the folder is writable");
        check_newest(folder.path(), Some(1));
        fs::remove_file(folder.path().join("step-1").join(OPTIMIZER)).expect("it was written");
        check_newest(folder.path(), None);
        check_newest(Path::new("no/such/folder"), None);
    }
}
