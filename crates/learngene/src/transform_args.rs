//! Transformations that are learnt before the rest of a model.

use std::path::Path;

use anyhow::{Context, ensure};
use clap::Args;
use learngene_expansion::{
    FfnTransformation, HeadTransformation, Scope, TransformationConfig, TransformationPlan,
};
use learngene_training::Recipe;
use serde::Deserialize;

use crate::{args::choice, files::read};

/// How inherited weights are transformed while everything else is frozen.
#[derive(Args)]
#[command(next_help_heading = "Transformations")]
pub struct TransformArgs {
    /// Transforms the feed-forward networks in a warm-up, before everything trains: scale-shift,
    /// low-rank or low-rank:RANK, cross-layer or cross-layer:WIDTH. Needs the description that
    /// `expand` left beside the checkpoint.
    #[arg(long, value_name = "KIND")]
    pub transform_ffn: Option<FfnTransformation>,
    /// Transforms the heads of layers that hold copies of one, so that they part: low-rank or
    /// low-rank:RANK, or scale-shift, which does not part them.
    #[arg(long, value_name = "KIND")]
    pub transform_heads: Option<HeadTransformation>,
    /// Which feed-forward networks: all, or those that several layers share.
    #[arg(long, default_value = "all", value_parser = choice::<Scope>(["all", "shared"]))]
    pub transform_scope: Scope,
    /// Epochs of the warm-up, the first of --epochs; then transformations are folded in, and the
    /// rest of the epochs trains everything.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub transform_epochs: usize,
}

/// A warm-up of transformations, and the training after it.
pub struct WarmUp {
    pub plan: TransformationPlan,
    pub config: TransformationConfig,
    pub recipe: Recipe,
    pub after: Recipe,
}

/// What `expand` says of a descendant, as far as it tells what is there several times.
#[derive(Deserialize)]
struct Description {
    ffn: Vec<usize>,
    slots: Vec<Vec<Slot>>,
}

#[derive(Deserialize)]
struct Slot {
    head: usize,
    projection_head: usize,
}

impl TransformArgs {
    /// The warm-up asked for, if any, of a checkpoint that trains by this recipe.
    pub fn warm_up(
        &self,
        checkpoint: Option<&Path>,
        recipe: &Recipe,
    ) -> anyhow::Result<Option<WarmUp>> {
        if self.transform_ffn.is_none() && self.transform_heads.is_none() {
            return Ok(None);
        }
        let checkpoint =
            checkpoint.context("transformations need a descendant: give its --checkpoint")?;
        let (epochs, all) = (self.transform_epochs, recipe.epochs);
        ensure!(
            (1..all).contains(&epochs),
            "--transform-epochs must be at least 1 and leave an epoch of the {all} for everything, \
             got {epochs}"
        );
        let config = TransformationConfig {
            ffn: self.transform_ffn,
            heads: self.transform_heads,
            scope: self.transform_scope,
            seed: recipe.seed,
        };
        // Each part has a tenth of itself, or what was asked for, as warm-up of its rate.
        let part = |epochs: usize| {
            let warmup_epochs = recipe.warmup_epochs() * epochs as f64 / all as f64;
            Recipe { epochs, warmup_epochs: Some(warmup_epochs), ..recipe.clone() }
        };
        let (recipe, after) = (part(epochs), part(all - epochs));
        let plan = plan(&checkpoint.with_extension("json"))?;
        Ok(Some(WarmUp { plan, config, recipe, after }))
    }
}

/// What a descendant holds several times.
fn plan(path: &Path) -> anyhow::Result<TransformationPlan> {
    let bytes = read(path).context(
        "transformations need the description that `expand` leaves beside the checkpoint",
    )?;
    let Description { ffn, slots } = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not what `expand` writes", path.display()))?;
    // Copies have both their rows and their columns from the same places.
    let number = |slots: &Vec<Slot>| {
        let source = |slot: &Slot| (slot.head, slot.projection_head);
        let first = |slot: &Slot| slots.iter().position(|other| source(other) == source(slot));
        slots.iter().filter_map(first).collect()
    };
    Ok(TransformationPlan { ffn, heads: slots.iter().map(number).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_slots_of_one_source() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("d.json");
        let slot = |head, columns| format!(r#"{{"head":{head},"projection_head":{columns}}}"#);
        let layer = [slot(4, 4), slot(1, 1), slot(4, 4), slot(4, 2)].join(",");
        std::fs::write(&path, format!(r#"{{"ffn":[7],"slots":[[{layer}]]}}"#))
            .expect("a temporary folder is writable");
        let plan = plan(&path).expect("just written");
        assert_eq!(plan, TransformationPlan { ffn: vec![7], heads: vec![vec![0, 1, 0, 3]] });
    }

    #[test]
    fn epochs_are_parted() {
        let args = TransformArgs {
            transform_ffn: Some("scale-shift".parse().expect("a transformation")),
            transform_heads: None,
            transform_scope: Scope::All,
            transform_epochs: 4,
        };
        let recipe = Recipe { epochs: 4, ..Recipe::default() };
        let error = args.warm_up(Some(Path::new("d.safetensors")), &recipe).err();
        let message = error.expect("nothing is left").to_string();
        assert!(message.starts_with("--transform-epochs must be at least 1"), "{message}");
        let none = TransformArgs { transform_ffn: None, ..args };
        assert!(none.warm_up(None, &recipe).expect("nothing asked for").is_none());
    }
}
