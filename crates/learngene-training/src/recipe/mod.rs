//! What a training run does, as a TOML file describes it.

mod help;
mod keys;

use std::path::Path;

use learngene_datasets::{Augment, views_per_epoch};
use learngene_tensors::Error;
use serde::{Deserialize, Serialize};

pub use help::recipe_help;

use crate::{
    EmaWarmup, Precision,
    error::{Result, invalid},
};

/// How a model is trained. Every field defaults to the paper's fine-tuning, so a recipe file lists only
/// what differs; unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images of one optimiser step.
    pub batch_size: usize,
    /// Peak learning rate for a batch of 512; scaled by `batch_size / 512`.
    pub learning_rate: f64,
    /// Epochs of linear warm-up, fewer than `epochs`; default as [`Recipe::warmup_epochs`].
    pub warmup_epochs: Option<f64>,
    /// Learning rate at the start of the warm-up.
    pub warmup_learning_rate: f64,
    /// Learning rate at the end of the cosine.
    pub min_learning_rate: f64,
    /// Whether the cosine starts where the warm-up ends. Otherwise it starts at the first step, as in
    /// DeiT and by default in timm, and the rate drops slightly at the end of the warm-up.
    pub cosine_after_warmup: bool,
    /// AdamW's decoupled weight decay; not applied to biases, norms, positions and class token.
    pub weight_decay: f64,
    /// Decay of AdamW's two moments.
    pub betas: (f64, f64),
    /// Learning rate of each layer divided by that of the next, in (0, 1]; the classifier has the full
    /// rate. As in BEiT and timm.
    pub layer_decay: f64,
    /// Maximum global gradient norm; 0 disables clipping.
    pub clip_norm: f64,
    /// Part of the target that is spread evenly over the classes.
    pub label_smoothing: f64,
    /// Factor of the loss by labels where there is a teacher; 0 to learn from the teacher alone.
    pub label_weight: f64,
    /// Factor of the loss by a [`Teacher`](crate::Teacher), where there is one.
    pub teacher_weight: f64,
    /// Stochastic-depth rate of the last layer; rates grow linearly from 0.
    pub drop_path: f64,
    /// Decay of the averaged parameters (EMA), in [0, 1); 0 disables averaging. The average is
    /// evaluated and saved beside the model.
    pub ema_decay: f64,
    /// How the decay of the average grows in the first steps.
    pub ema_warmup: EmaWarmup,
    /// Images that a device takes at once, at most; gradients of a batch are accumulated over
    /// micro-batches. 0 for the whole batch, or for what fits into memory, see [`Recipe::within`].
    pub micro_batch_size: usize,
    /// Number format of forward and backward passes: f32, or bf16 where the device supports it.
    /// Parameters and optimiser stay in f32.
    pub precision: Precision,
    /// Whether the forward pass keeps only the input of each layer and recomputes the rest in the
    /// backward pass: a fraction of the memory for activations, up to a third more time, the same
    /// result.
    pub gradient_checkpointing: bool,
    /// Evaluations in an epoch, evenly spaced, the last at its end.
    pub evaluations_per_epoch: usize,
    /// Steps between states to resume from, beside the one at the end of each epoch; 0 for only those.
    pub checkpoint_steps: usize,
    /// Seed of the order of images, augmentation and stochastic depth; callers draw initial weights
    /// from it too.
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
            label_weight: 1.0,
            teacher_weight: 10.0,
            drop_path: 0.0,
            ema_decay: 0.0,
            ema_warmup: EmaWarmup::default(),
            micro_batch_size: 0,
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
    /// Whether the warm-up is shorter than the run is left to [`Recipe::check`], since the caller may
    /// change either.
    ///
    /// # Errors
    /// A file that cannot be read; unknown keys; values that no run can have.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::read(path))?;
        let recipe: Self = keys::parse(&text, &Self::with_every_key().table())
            .map_err(|error| error.in_file(path))?;
        recipe.check_values().map_err(|error| error.in_file(path))?;
        recipe.augment.check()?;
        Ok(recipe)
    }

    /// A recipe with a value for every key.
    fn with_every_key() -> Self {
        Self { augment: Augment::deit(), ..Self::default() }
    }

    /// The recipe in TOML, with all defaults.
    fn table(&self) -> toml::Table {
        toml::Table::try_from(self.resolved()).expect("a recipe is a table of numbers and flags")
    }

    /// The recipe as a file that [`Recipe::read`] reads, with all defaults.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.resolved()).expect("a recipe is a table of numbers and flags")
    }

    /// The same recipe with all defaults filled in.
    pub fn resolved(&self) -> Self {
        let micro_batch_size = self.micro_batch_size();
        Self { warmup_epochs: Some(self.warmup_epochs()), micro_batch_size, ..self.clone() }
    }

    /// Checks that a run can have this recipe.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn check(&self) -> Result<()> {
        self.check_values()?;
        self.augment.check()?;
        let warmup = self.warmup_epochs();
        if warmup >= self.epochs as f64 {
            let expected = format!(
                "fewer than the {} of the run; pass --warmup-epochs, or set it in the recipe",
                self.epochs
            );
            return Err(invalid("warmup_epochs", warmup, expected));
        }
        Ok(())
    }

    /// Checks each field on its own.
    fn check_values(&self) -> Result<(), Error> {
        let count = |value: usize| (value as f64, value >= 1, "at least 1");
        let rate = |value: f64| {
            (value, value.is_finite() && value >= 0.0, "a finite number of at least 0")
        };
        let fraction = |value: f64| (value, (0.0..1.0).contains(&value), "a number in [0, 1)");
        let learning_rate = self.learning_rate;
        let is_positive = learning_rate.is_finite() && learning_rate > 0.0;
        let layer_decay = self.layer_decay;
        let is_decay = layer_decay > 0.0 && layer_decay <= 1.0;
        let fields = [
            ("epochs", count(self.epochs)),
            ("batch_size", count(self.batch_size)),
            ("evaluations_per_epoch", count(self.evaluations_per_epoch)),
            ("learning_rate", (learning_rate, is_positive, "a positive, finite number")),
            ("warmup_learning_rate", rate(self.warmup_learning_rate)),
            ("min_learning_rate", rate(self.min_learning_rate)),
            ("warmup_epochs", rate(self.warmup_epochs())),
            ("weight_decay", rate(self.weight_decay)),
            ("betas[0]", fraction(self.betas.0)),
            ("betas[1]", fraction(self.betas.1)),
            ("label_smoothing", fraction(self.label_smoothing)),
            ("label_weight", rate(self.label_weight)),
            ("teacher_weight", rate(self.teacher_weight)),
            ("drop_path", fraction(self.drop_path)),
            ("ema_decay", fraction(self.ema_decay)),
            ("clip_norm", rate(self.clip_norm)),
            ("layer_decay", (layer_decay, is_decay, "a number in (0, 1]")),
        ];
        match fields.into_iter().find(|(_, (_, holds, _))| !holds) {
            Some((field, (found, _, expected))) => Err(Error::invalid(field, found, expected)),
            None => Ok(()),
        }
    }

    /// Epochs of linear warm-up; by default 5, but at most a tenth of the run.
    pub fn warmup_epochs(&self) -> f64 {
        self.warmup_epochs.unwrap_or(5.0_f64.min(self.epochs as f64 / 10.0))
    }

    /// The recipes of the first epochs and of the rest, each with its share of the warm-up.
    pub fn parted(&self, epochs: usize) -> [Self; 2] {
        let part = |epochs: usize| {
            let warmup_epochs = self.warmup_epochs() * (epochs as f64 / self.epochs as f64);
            Self { epochs, warmup_epochs: Some(warmup_epochs), ..self.clone() }
        };
        [part(epochs), part(self.epochs - epochs)]
    }

    /// Images that a device takes at once, at most.
    pub fn micro_batch_size(&self) -> usize {
        match self.micro_batch_size {
            0 => self.batch_size,
            images => images.min(self.batch_size),
        }
    }

    /// Optimiser steps of an epoch on that many training images.
    pub fn steps_per_epoch(&self, images: usize) -> usize {
        views_per_epoch(images, self.augment.repeats).div_ceil(self.batch_size)
    }

    /// Learning rate at the peak, scaled to the batch.
    pub fn peak_learning_rate(&self) -> f64 {
        self.learning_rate * self.batch_size as f64 / 512.0
    }

    /// The recipe with that learning rate at the peak.
    pub fn at_peak(&self, learning_rate: f64) -> Self {
        let learning_rate = learning_rate * 512.0 / self.batch_size as f64;
        Self { learning_rate, ..self.clone() }
    }
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

    fn check_warmup(epochs: usize, asked: Option<f64>, expected: f64) {
        let recipe = Recipe { epochs, warmup_epochs: asked, ..Recipe::default() };
        assert_eq!(recipe.warmup_epochs(), expected, "{asked:?} of {epochs} epochs");
        assert!(recipe.check().is_ok(), "{asked:?} of {epochs} epochs");
        let line = format!("\nwarmup_epochs = {expected:?}\n");
        assert!(recipe.to_toml().contains(&line), "{line}");
    }

    #[test]
    fn warmup_is_five_epochs_or_a_tenth_of_the_run_by_default() {
        check_warmup(500, None, 5.0);
        check_warmup(50, None, 5.0);
        check_warmup(5, None, 0.5);
        check_warmup(10, Some(0.0), 0.0);
        check_warmup(10, Some(9.5), 9.5);
    }

    fn check_refused(recipe: &Recipe, message: &str) {
        assert_eq!(recipe.check().expect_err(message).to_string(), message);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let default = Recipe::default;
        check_refused(&Recipe { epochs: 0, ..default() }, "epochs: found 0, expected at least 1");
        check_refused(
            &Recipe { learning_rate: f64::NAN, ..default() },
            "learning_rate: found NaN, expected a positive, finite number",
        );
        check_refused(
            &Recipe { label_smoothing: 1.0, ..default() },
            "label_smoothing: found 1, expected a number in [0, 1)",
        );
        check_refused(
            &Recipe { layer_decay: 0.0, ..default() },
            "layer_decay: found 0, expected a number in (0, 1]",
        );
        check_refused(
            &Recipe { warmup_epochs: Some(-0.5), ..default() },
            "warmup_epochs: found -0.5, expected a finite number of at least 0",
        );
        check_refused(
            &Recipe { epochs: 3, warmup_epochs: Some(3.0), ..default() },
            "warmup_epochs: found 3, expected fewer than the 3 of the run; pass --warmup-epochs, or \
             set it in the recipe",
        );
    }
}
