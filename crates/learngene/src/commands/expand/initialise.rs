//! How a descendant is initialised, and which flags each method looks at.

use anyhow::{Context, bail, ensure};
use learngene_checkpoints::{Checkpoint, Preprocessing};
use learngene_expansion::{
    ClassifierPolicy, Descendant, DescendantConfig, HeadPolicy, LayerPolicy, auto_learngene,
    expand, from_scratch, heuristic_learngene, pretraining_finetuning, weight_selection,
    weight_transformation,
};
use learngene_format::{Learngene, Manifest};
use learngene_shape::{Reshape, Shape};
use learngene_tensors::Sha256;

use super::Args;
use crate::method::Method;

/// A descendant, and what it was made from.
pub struct Initialised {
    pub descendant: Descendant,
    pub ancestor: Shape,
    /// How images became the ancestor's input.
    pub preprocessing: Option<Preprocessing>,
    /// Hash of the ancestor's checkpoint, where the method took it.
    pub ancestor_sha256: Option<Sha256>,
}

impl Args {
    /// Refuses what the method would not look at.
    pub fn check(&self, config: &DescendantConfig) -> anyhow::Result<()> {
        let (method, default) = (self.method, DescendantConfig::default());
        let is_cluster = method == Method::ClusterLearngene;
        let draws_classifier =
            config.classifier == ClassifierPolicy::Fresh && config.num_classes != Some(0);
        let is_scratch = method == Method::FromScratch;
        let repeats_layers = is_cluster || method == Method::PretrainingFinetuning;
        ensure!(
            !is_cluster || self.learngene.is_some(),
            "--method {} needs a learngene: make one with `learngene condense`",
            method.name()
        );
        // For training from scratch a checkpoint may stand in for the learngene, as a shape.
        let takes_checkpoint = method.takes_ancestor() || (is_scratch && self.learngene.is_none());
        let budget = self.budget.flag();
        let flags = [
            ("--checkpoint", takes_checkpoint, self.ancestor.left().is_some()),
            ("--order", is_cluster, config.order != default.order),
            ("--projection", is_cluster, config.projection.is_some()),
            ("--layers", !method.chooses_layers(), config.layers != default.layers),
            ("--new-layers", repeats_layers, config.new_layers != default.new_layers),
            ("--classifier", !is_scratch, config.classifier != default.classifier),
            ("--fold", !is_scratch, self.fold.is_some()),
            (budget.unwrap_or("--max-params"), is_cluster, budget.is_some()),
            ("--inherited-layers", method.chooses_layers(), self.inherited_layers.is_some()),
            (
                "--shared-layers",
                method == Method::WeightTransformation,
                self.shared_layers.is_some(),
            ),
        ];
        let idle = flags.into_iter().find(|(_, is_looked_at, is_given)| *is_given && !is_looked_at);
        if let Some((flag, ..)) = idle {
            let why = match flag {
                "--checkpoint" if is_scratch => ": the learngene says the shape already",
                _ => "",
            };
            bail!("--method {} does not look at {flag}{why}", method.name());
        }
        let draws = is_scratch || method.chooses_layers() || draws_classifier;
        if self.seed != 0 && !draws {
            // Scripts give one to all methods.
            tracing::warn!("--seed has no effect: no layer is drawn, and no classifier");
        }
        Ok(())
    }

    /// Reads what the method needs and makes the descendant.
    pub fn initialise(&self, config: &DescendantConfig) -> anyhow::Result<Initialised> {
        let learngene = self.learngene.as_ref().map(Learngene::read).transpose()?;
        let probed = learngene.as_ref().map(|learngene| {
            let probed = &learngene.manifest().distances.preprocessing;
            let (crop_pct, mean, std) = (Some(probed.crop_pct), probed.mean, probed.std);
            Preprocessing { mean, std, crop_pct }
        });
        if self.method == Method::ClusterLearngene {
            let learngene = learngene.context("a cluster-learngene needs a learngene")?;
            let config = self.within_budget(learngene.manifest(), config)?;
            let descendant = expand(&learngene, &config)?;
            let ancestor = learngene.manifest().ancestor.shape.clone();
            return Ok(Initialised {
                descendant,
                ancestor,
                preprocessing: probed,
                ancestor_sha256: None,
            });
        }
        let shape = learngene.as_ref().map(|learngene| &learngene.manifest().ancestor.shape);
        if self.method == Method::FromScratch {
            let (ancestor, preprocessing) = match shape {
                Some(shape) => (shape.clone(), probed),
                None => {
                    let whole = self.whole(None)?;
                    (whole.shape, whole.pretrained_cfg.preprocessing)
                }
            };
            let descendant = self.drawn(&ancestor, config)?;
            return Ok(Initialised { descendant, ancestor, preprocessing, ancestor_sha256: None });
        }
        let whole = self.whole(shape)?;
        Ok(Initialised {
            descendant: self.inherit(&whole, config)?,
            ancestor: whole.shape,
            preprocessing: whole.pretrained_cfg.preprocessing.or(probed),
            ancestor_sha256: Some(whole.sha256),
        })
    }

    /// The configuration of the model that a budget buys, where there is one.
    fn within_budget(
        &self,
        manifest: &Manifest,
        config: &DescendantConfig,
    ) -> anyhow::Result<DescendantConfig> {
        if self.budget.flag().is_none() {
            return Ok(config.clone());
        }
        let curves = manifest.curves.as_ref().context(
            "what smaller models lose was not measured for this learngene: condense one by size, without \
             --paper and clustering flags",
        )?;
        let shape = manifest.shape.reshaped(&Reshape {
            image_size: config.image_size,
            num_classes: config.num_classes,
            ..Reshape::default()
        })?;
        let choice = self.budget.choose(&shape, curves, &self.device)?;
        let Some(choice) = choice else { return Ok(config.clone()) };
        Ok(DescendantConfig {
            layers: LayerPolicy::List((0..choice.sizes.len()).collect()),
            heads: HeadPolicy::List(choice.sizes.iter().map(|sizes| sizes.num_heads).collect()),
            hidden_dim: Some(choice.sizes.iter().map(|sizes| sizes.hidden_dim).collect()),
            ..config.clone()
        })
    }

    /// A drawn model of the descendant's shape.
    fn drawn(&self, ancestor: &Shape, config: &DescendantConfig) -> anyhow::Result<Descendant> {
        let shape = config.shape(ancestor)?;
        let front = DescendantConfig { layers: LayerPolicy::default(), ..config.clone() };
        // A list says the depth too, and layers may differ in heads.
        if config.layers != front.layers && front.shape(ancestor).is_ok_and(|it| it == shape) {
            tracing::warn!(
                "--layers has no effect: no layer is inherited, and the shape is the same without"
            );
        }
        Ok(Descendant {
            parameters: from_scratch(&shape, self.seed),
            shape,
            inherited_parameters: 0,
            layers: Vec::new(),
            slots: Vec::new(),
            ffn: Vec::new(),
        })
    }

    /// The whole ancestor, of the learngene's shape where there is one.
    fn whole(&self, shape: Option<&Shape>) -> anyhow::Result<Checkpoint> {
        let args = self.ancestor.left();
        let args = args.with_context(|| format!("{} needs --checkpoint", self.method.name()))?;
        // Positions were interpolated to the learngene's image size, if to any.
        let whole = args.read(shape.map(|shape| shape.image().size), None)?;
        if let (Some(shape), Some(learngene)) = (shape, &self.learngene) {
            ensure!(
                whole.shape == shape.with_num_classes(whole.shape.num_classes())?,
                "{} is of another shape than the ancestor of {}",
                args.checkpoint,
                learngene.display()
            );
        }
        Ok(whole)
    }

    /// The descendant of the whole ancestor.
    fn inherit(
        &self,
        Checkpoint { parameters, shape, .. }: &Checkpoint,
        config: &DescendantConfig,
    ) -> anyhow::Result<Descendant> {
        let inherited = self.inherited_layers;
        Ok(match self.method {
            Method::HeuristicLearngene => {
                heuristic_learngene(parameters, shape, inherited, config)?
            }
            Method::AutoLearngene => auto_learngene(parameters, shape, inherited, config)?,
            Method::WeightTransformation => {
                weight_transformation(parameters, shape, self.shared_layers, config)?
            }
            Method::WeightSelection => weight_selection(parameters, shape, config)?,
            Method::PretrainingFinetuning | Method::ClusterLearngene | Method::FromScratch => {
                pretraining_finetuning(parameters, shape, config)?
            }
        })
    }
}
