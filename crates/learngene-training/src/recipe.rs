//! What a training run does, as a TOML file says it.

use std::path::Path;

use learngene_datasets::{Augment, views_per_epoch};
use learngene_models::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::{
    EmaWarmup, Precision, TrainingError, images_that_fit, unknown_key::UnknownKey,
    wrong_kind::WrongKind,
};

/// How a model is trained. Every field has the default of the paper's fine-tuning, so a recipe
/// file names only what differs; unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images of one optimiser step.
    pub batch_size: usize,
    /// Peak learning rate for a batch of 512; scaled by `batch_size / 512`.
    pub learning_rate: f64,
    /// Epochs of linear warm-up, fewer than `epochs`; where absent, see [`Recipe::warmup_epochs`].
    pub warmup_epochs: Option<f64>,
    /// Learning rate that the warm-up starts from.
    pub warmup_learning_rate: f64,
    /// Learning rate that the cosine ends at.
    pub min_learning_rate: f64,
    /// Whether the cosine begins where the warm-up ends; otherwise it runs beneath the warm-up, as in
    /// DeiT and timm's default, and the rate drops a little when it comes out.
    pub cosine_after_warmup: bool,
    /// AdamW's decoupled weight decay; not applied to biases, norms, positions and class token.
    pub weight_decay: f64,
    /// Decay of AdamW's two moments.
    pub betas: (f64, f64),
    /// Share of the learning rate that each layer has of the one behind it, in (0, 1]; the classifier
    /// has all of it. As BEiT and timm do.
    pub layer_decay: f64,
    /// Most that the norm over all gradients may be; 0 for no limit.
    pub clip_norm: f64,
    /// Share of the target spread evenly over the classes.
    pub label_smoothing: f64,
    /// Share of residual branches left out in the last layer, rising evenly from none in the first.
    pub drop_path: f64,
    /// Share of the average of the parameters (EMA) that a step keeps, in [0, 1); 0 for no average. The
    /// average is evaluated and saved beside the model.
    pub ema_decay: f64,
    /// How that share rises at first.
    pub ema_warmup: EmaWarmup,
    /// The most images that a device takes at once, of which a batch is made; 0 for a whole batch, or
    /// for what fits where [`Recipe::within`] says so.
    pub images_per_pass: usize,
    /// Number format of forward and backward passes: f32, or bf16 where the device has it, with the
    /// parameters and the optimiser in f32.
    pub precision: Precision,
    /// Whether a step keeps what goes into each layer alone and computes the rest again: a fraction
    /// of the memory for activations, up to a third more time, the same result.
    pub gradient_checkpointing: bool,
    /// Evaluations in an epoch, evenly spaced, the last at its end.
    pub evaluations_per_epoch: usize,
    /// Steps between checkpoints to resume from, beside the one at the end of each epoch; 0 for those
    /// alone.
    pub checkpoint_steps: usize,
    /// Seed of the order of images, their augmentation and the device.
    pub seed: u64,
    /// Random changes of the training images; by default a flip and a crop of the padded image.
    pub augment: Augment,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            epochs: 50,
            batch_size: 64,
            learning_rate: 5e-4,
            warmup_epochs: None,
            warmup_learning_rate: 1e-6,
            min_learning_rate: 1e-5,
            cosine_after_warmup: true,
            weight_decay: 0.05,
            betas: (0.9, 0.999),
            layer_decay: 1.0,
            clip_norm: 0.0,
            label_smoothing: 0.1,
            drop_path: 0.0,
            ema_decay: 0.0,
            ema_warmup: EmaWarmup::default(),
            images_per_pass: 0,
            precision: Precision::F32,
            gradient_checkpointing: false,
            evaluations_per_epoch: 1,
            checkpoint_steps: 0,
            seed: 0,
            augment: Augment::default(),
        }
    }
}

impl Recipe {
    /// Reads a recipe file.
    ///
    /// Whether the warm-up is shorter than the run is left to [`Recipe::check`], since whoever reads
    /// the file may change either.
    ///
    /// # Errors
    /// Names the file when it cannot be read, holds an unknown key, or asks for the impossible.
    pub fn read(path: &Path) -> Result<Self, TrainingError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TrainingError::Read { path: path.into(), source })?;
        let refused = |reason| TrainingError::Recipe { path: path.into(), reason };
        let table = toml::from_str(&text).map_err(|error| refused(error.to_string()))?;
        let known = Self::with_every_key().table();
        if let Some(unknown) = UnknownKey::find(&table, &known) {
            return Err(refused(unknown.describe(&text)));
        }
        if let Some(wrong) = WrongKind::find(&table, &known) {
            return Err(refused(wrong.describe(&text)));
        }
        let recipe: Self = toml::from_str(&text).map_err(|error| refused(error.to_string()))?;
        match recipe.check() {
            Ok(()) | Err(TrainingError::Warmup { .. }) => Ok(recipe),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// A recipe of which nothing is left out where it is written.
    pub(crate) fn with_every_key() -> Self {
        Self { augment: Augment::deit(), ..Self::default() }
    }

    /// The recipe as TOML has it, all defaults written out.
    pub(crate) fn table(&self) -> toml::Table {
        toml::Table::try_from(self.resolved()).expect("a recipe is a table of numbers and flags")
    }

    /// The recipe as a file that [`Recipe::read`] reads, all defaults written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.resolved()).expect("a recipe is a flat table of numbers and flags")
    }

    /// The same recipe with nothing left to work out.
    pub fn resolved(&self) -> Self {
        let images_per_pass = self.images_per_pass();
        Self { warmup_epochs: Some(self.warmup_epochs()), images_per_pass, ..self.clone() }
    }

    /// The same recipe for a model on devices each of which holds so many bytes: where it leaves open
    /// how many images a device takes at once, as many as [fit](crate::images_that_fit).
    pub fn within(self, config: &ModelConfig, memory: u64) -> Self {
        match self.images_per_pass {
            0 => Self { images_per_pass: images_that_fit(config, &self, memory), ..self },
            _ => self,
        }
    }

    /// Checks that the recipe can be carried out.
    ///
    /// # Errors
    /// Names the first field that is out of range, its value and the range.
    pub fn check(&self) -> Result<(), TrainingError> {
        let counts = [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("evaluations_per_epoch", self.evaluations_per_epoch),
        ];
        for (field, value) in counts {
            check(field, value as f64, value >= 1, "at least 1")?;
        }
        let (beta_1, beta_2) = self.betas;
        let rate = |value: f64| value.is_finite() && value >= 0.0;
        let fraction = |value: f64| (0.0..1.0).contains(&value);
        check(
            "learning_rate",
            self.learning_rate,
            self.learning_rate > 0.0 && rate(self.learning_rate),
            "positive",
        )?;
        check(
            "warmup_learning_rate",
            self.warmup_learning_rate,
            rate(self.warmup_learning_rate),
            "zero or more",
        )?;
        check(
            "min_learning_rate",
            self.min_learning_rate,
            rate(self.min_learning_rate),
            "zero or more",
        )?;
        let warmup = self.warmup_epochs();
        check("warmup_epochs", warmup, rate(warmup), "zero or more")?;
        check("weight_decay", self.weight_decay, rate(self.weight_decay), "zero or more")?;
        check("betas[0]", beta_1, fraction(beta_1), "in [0, 1)")?;
        check("betas[1]", beta_2, fraction(beta_2), "in [0, 1)")?;
        check(
            "label_smoothing",
            self.label_smoothing,
            fraction(self.label_smoothing),
            "in [0, 1)",
        )?;
        check("drop_path", self.drop_path, fraction(self.drop_path), "in [0, 1)")?;
        check("ema_decay", self.ema_decay, fraction(self.ema_decay), "in [0, 1)")?;
        check("clip_norm", self.clip_norm, rate(self.clip_norm), "zero or more")?;
        let decay = self.layer_decay;
        check("layer_decay", decay, decay > 0.0 && decay <= 1.0, "in (0, 1]")?;
        self.augment.check()?;
        // Last, for `read` passes over it.
        if warmup >= self.epochs as f64 {
            return Err(TrainingError::Warmup { warmup, epochs: self.epochs });
        }
        Ok(())
    }

    /// Epochs of linear warm-up: those asked for, else 5, but at most a tenth of the run, so that
    /// short runs do not spend themselves in it.
    pub fn warmup_epochs(&self) -> f64 {
        self.warmup_epochs.unwrap_or(5.0_f64.min(self.epochs as f64 / 10.0))
    }

    /// The most images that a device takes at once.
    pub fn images_per_pass(&self) -> usize {
        match self.images_per_pass {
            0 => self.batch_size,
            images => images.min(self.batch_size),
        }
    }

    /// Optimiser steps of an epoch on so many training images.
    pub fn steps_per_epoch(&self, images: usize) -> usize {
        views_per_epoch(images, self.augment.repeats).div_ceil(self.batch_size)
    }

    /// Learning rate at the peak, after scaling to the batch.
    pub fn peak_learning_rate(&self) -> f64 {
        self.learning_rate * self.batch_size as f64 / 512.0
    }
}

fn check(
    field: &'static str,
    got: f64,
    holds: bool,
    want: &'static str,
) -> Result<(), TrainingError> {
    if holds { Ok(()) } else { Err(TrainingError::OutOfRange { field, got, want }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_survives_its_file() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("recipe.toml");
        let recipe = Recipe { epochs: 3, learning_rate: 1.5e-3, ..Recipe::default() };
        std::fs::write(&path, recipe.to_toml()).expect("a temporary file can be written");
        assert_eq!(Recipe::read(&path).expect("the file was just written"), recipe.resolved());
    }

    fn check_warmup(epochs: usize, asked: Option<f64>, wanted: f64) {
        let recipe = Recipe { epochs, warmup_epochs: asked, ..Recipe::default() };
        assert_eq!(recipe.warmup_epochs(), wanted, "{asked:?} of {epochs} epochs");
        assert!(recipe.check().is_ok(), "{asked:?} of {epochs} epochs");
        let line = format!("\nwarmup_epochs = {wanted:?}\n");
        assert!(recipe.to_toml().contains(&line), "{line}");
    }

    #[test]
    fn warmup_is_five_epochs_where_nothing_else_is_asked_for() {
        check_warmup(50, None, 5.0);
        check_warmup(500, None, 5.0);
    }

    #[test]
    fn warmup_of_a_short_run_is_a_tenth_of_it() {
        check_warmup(5, None, 0.5);
        check_warmup(1, None, 0.1);
    }

    #[test]
    fn warmup_that_is_asked_for_is_kept() {
        check_warmup(10, Some(0.0), 0.0);
        check_warmup(10, Some(9.5), 9.5);
    }

    fn check_refused(text: &str, parts: &[&str]) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("recipe.toml");
        std::fs::write(&path, text).expect("a temporary file can be written");
        let error = Recipe::read(&path).expect_err(text).to_string();
        for part in ["recipe.toml"].iter().chain(parts) {
            assert!(error.contains(part), "{error}\ndoes not tell {part}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        check_refused(
            "\nlearning_rat = 1.0",
            &["line 2", "`learning_rat`", "did you mean learning_rate?"],
        );
        check_refused("epoch = 3", &["epoch", "did you mean epochs?"]);
        check_refused("[augment]\nmixupp = 0.8", &["line 2", "did you mean mixup?"]);
        let text = "[augment]\ncrop_padding = 0\nresized_crop = { skale = [0.1, 1.0] }";
        check_refused(text, &["line 3", "did you mean scale?"]);
        check_refused("zzz = 3", &["zzz", "known are augment, batch_size"]);
    }

    #[test]
    fn values_of_another_kind_are_refused() {
        let whole = "must be a whole number of 0 or more, got";
        check_refused("epochs = \"three\"", &["`epochs` in line 1", whole, "\"three\""]);
        check_refused("warmup_epochs = 1\nepochs = -3", &["`epochs` in line 2", whole, "-3"]);
        check_refused("[augment]\nrepeats = 1.5", &["`repeats` in line 2", whole, "1.5"]);
        check_refused("warmup_epochs = true", &["must be a number, got true"]);
        check_refused("gradient_checkpointing = 1", &["must be true or false, got 1"]);
        check_refused("augment = 3", &["must be a table of keys and values, got 3"]);
        check_refused("precision = 16", &["`precision`", "must be of the form of \"f32\", got 16"]);
        for betas in ["0.9", "[0.9]", "[0.9, \"b\"]"] {
            let got = format!("must be of the form of [0.9, 0.999], got {betas}");
            check_refused(&format!("betas = {betas}"), &[&got]);
        }
        check_refused("ema_warmup = \"fast\"", &["fast", "ratio"]);
        check_refused("epochs = ", &["line 1"]);
        check_refused("[augment]\nmixup = -1.0", &["mixup must be from 0 to 100, got -1"]);
    }

    #[test]
    fn impossible_values_are_named() {
        let cases = [
            (Recipe { epochs: 0, ..Recipe::default() }, "epochs must be at least 1, got 0"),
            (
                Recipe { learning_rate: f64::NAN, ..Recipe::default() },
                "learning_rate must be positive, got NaN",
            ),
            (
                Recipe { label_smoothing: 1.0, ..Recipe::default() },
                "label_smoothing must be in [0, 1), got 1",
            ),
            (
                Recipe { layer_decay: 0.0, ..Recipe::default() },
                "layer_decay must be in (0, 1], got 0",
            ),
            (Recipe { ema_decay: 1.0, ..Recipe::default() }, "ema_decay must be in [0, 1), got 1"),
            (
                Recipe { clip_norm: -1.0, ..Recipe::default() },
                "clip_norm must be zero or more, got -1",
            ),
            (
                Recipe { warmup_epochs: Some(-0.5), ..Recipe::default() },
                "warmup_epochs must be zero or more, got -0.5",
            ),
            (
                Recipe { epochs: 3, warmup_epochs: Some(3.0), ..Recipe::default() },
                "a warm-up of 3 epochs does not fit into a run of 3 epochs: give fewer with \
                 --warmup-epochs, or with warmup_epochs in the recipe",
            ),
            (
                Recipe { epochs: 1, warmup_epochs: Some(1.5), ..Recipe::default() },
                "a warm-up of 1.5 epochs does not fit into a run of 1 epoch: give fewer with \
                 --warmup-epochs, or with warmup_epochs in the recipe",
            ),
        ];
        for (recipe, message) in cases {
            assert_eq!(recipe.check().expect_err(message).to_string(), message);
        }
    }
}
