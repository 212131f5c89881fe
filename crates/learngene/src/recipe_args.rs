//! How a model is trained, as the command line says it.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use learngene_training::{Precision, Recipe};

use crate::args::{at_least_one, choice, number, whole_number};

/// The recipe, and what wins over its entries.
#[derive(Args)]
#[command(next_help_heading = "Training")]
pub struct RecipeArgs {
    /// Recipe file, TOML; a flag below wins over its entry. `learngene train --help` lists its keys.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Passes over the training images [default: 50].
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>)]
    epochs: Option<usize>,
    /// Images of one optimiser step [default: 64].
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>)]
    batch_size: Option<usize>,
    /// Peak learning rate, used as it is; `auto` tries a few in short runs on the training images, a fifth of
    /// which is held out [default: what the recipe says].
    #[arg(long, value_name = "RATE|auto", value_parser = rate)]
    lr: Option<Rate>,
    /// Epochs of linear warm-up [default: 5, at most a tenth of the epochs].
    #[arg(long, value_name = "N", value_parser = number::<f64>)]
    warmup_epochs: Option<f64>,
    /// Keeps what goes into each layer alone and computes the rest again: less memory for
    /// activations, up to a third more time, the same result.
    #[arg(long)]
    gradient_checkpointing: bool,
    /// Number format of forward and backward passes; parameters and optimiser stay in f32
    /// [default: f32].
    #[arg(long, value_parser = choice::<Precision>(["f32", "bf16"]))]
    precision: Option<Precision>,
    /// Images that a device takes at once, at most; gradients of a batch are accumulated over
    /// micro-batches [default: what fits its memory].
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    micro_batch_size: Option<NonZeroUsize>,
    /// Seed of initial weights, order and augmentation [default: 0].
    #[arg(long, value_name = "N", value_parser = whole_number::<u64>)]
    seed: Option<u64>,
}

/// A learning rate.
#[derive(Clone, Copy)]
enum Rate {
    /// Found by short runs.
    Auto,
    /// At the peak of the schedule.
    Peak(f64),
}

fn rate(text: &str) -> Result<Rate, String> {
    match text {
        "auto" => Ok(Rate::Auto),
        _ => number(text).map(Rate::Peak).map_err(|error| format!("{error}; or auto")),
    }
}

impl RecipeArgs {
    /// Whether the learning rate is to be found first.
    pub fn finds_rate(&self) -> bool {
        matches!(self.lr, Some(Rate::Auto))
    }

    /// The recipe asked for, unchecked.
    pub fn recipe(&self) -> anyhow::Result<Recipe> {
        let recipe = self.recipe.as_deref().map(Recipe::read).transpose()?.unwrap_or_default();
        let recipe = Recipe {
            epochs: self.epochs.unwrap_or(recipe.epochs),
            batch_size: self.batch_size.unwrap_or(recipe.batch_size),
            warmup_epochs: self.warmup_epochs.or(recipe.warmup_epochs),
            gradient_checkpointing: self.gradient_checkpointing || recipe.gradient_checkpointing,
            precision: self.precision.unwrap_or(recipe.precision),
            micro_batch_size: self
                .micro_batch_size
                .map_or(recipe.micro_batch_size, NonZeroUsize::get),
            seed: self.seed.unwrap_or(recipe.seed),
            ..recipe
        };
        Ok(match self.lr {
            Some(Rate::Peak(rate)) => recipe.at_peak(rate),
            _ => recipe,
        })
    }
}
