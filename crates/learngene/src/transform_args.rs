//! Transformations that are learnt before the rest of a model.

use std::path::Path;

use anyhow::{Context, ensure};
use clap::{ArgGroup, Args};
use learngene_expansion::TransformationPlan;
use learngene_training::{
    FfnTransformation, HeadTransformation, Recipe, Scope, TransformationConfig,
};

use crate::{
    args::{choice, whole_number},
    description::Description,
    transformations_file::Learnt,
};

/// How inherited weights are transformed while everything else is frozen.
#[derive(Args)]
#[command(next_help_heading = "Transformations")]
#[command(group = ArgGroup::new("transformations").multiple(true)
    .args(["transform_ffn", "transform_heads"]))]
pub struct TransformArgs {
    /// Transforms the FFNs in a warm-up, before everything trains: scale-shift, low-rank or
    /// low-rank:RANK (8 by default), cross-layer or cross-layer:WIDTH (16 by default). Needs the
    /// description that `expand` wrote beside the checkpoint.
    #[arg(long, value_name = "KIND")]
    pub transform_ffn: Option<FfnTransformation>,
    /// Transforms the heads of layers that hold copies of one, so that they become different: low-rank
    /// or low-rank:RANK, or scale-shift, with which they stay equal.
    #[arg(long, value_name = "KIND")]
    pub transform_heads: Option<HeadTransformation>,
    /// Which FFNs: all, or those that several layers share.
    #[arg(long, default_value = "all", requires = "transform_ffn",
        value_parser = choice::<Scope>(["all", "shared"]))]
    pub transform_scope: Scope,
    /// Epochs of the warm-up, the first of --epochs; then transformations are folded in, and the
    /// rest of the epochs trains everything.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole_number::<usize>,
        requires = "transformations")]
    pub transform_epochs: usize,
}

/// A warm-up of transformations.
pub struct WarmUp {
    pub plan: TransformationPlan,
    pub learnt: Learnt,
    pub epochs: usize,
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
            checkpoint.context("transformations need a descendant: give its checkpoint")?;
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
        let description = Description::read(&checkpoint.with_extension("json")).context(
            "transformations need the description that `expand` writes beside the checkpoint",
        )?;
        let Description { origin, ffn, slots, .. } = description;
        let plan = TransformationPlan::new(ffn, &slots);
        Ok(Some(WarmUp { plan, learnt: Learnt { config, by: origin }, epochs }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
