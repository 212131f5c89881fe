//! How a descendant is initialised, and which flags each method looks at.

use anyhow::{Context, bail, ensure};
use learngene_datasets::Preprocess;
use learngene_expansion::{
    ClassifierPolicy, Descendant, DescendantConfig, LayerPolicy, ancestor_config, auto_learngene,
    expand, from_scratch, heuristic_learngene, pretraining_finetuning, weight_selection,
    weight_transformation,
};
use learngene_format::Learngene;
use learngene_models::{
    ModelConfig,
    checkpoint::{Checkpoint, Preprocessing},
};

use super::Args;
use crate::{
    measured::{check_ancestor, read_distances},
    method::Method,
};

/// A descendant, and what it was made from.
pub struct Initialised {
    pub descendant: Descendant,
    pub ancestor: ModelConfig,
    /// How images became the ancestor's input.
    pub preprocessing: Option<Preprocessing>,
    /// Hash of the ancestor's checkpoint, where the method took it.
    pub ancestor_sha256: Option<String>,
    /// Hash of the list of images by which layers were chosen, where they were.
    pub images_sha256: Option<String>,
}

impl Args {
    /// Refuses what the method would not look at.
    pub fn check(&self, wanted: &DescendantConfig) -> anyhow::Result<()> {
        let (method, default) = (self.method, DescendantConfig::default());
        let is_cluster = method == Method::ClusterLearngene;
        let draws_classifier =
            wanted.classifier == ClassifierPolicy::Fresh && wanted.num_classes != Some(0);
        let is_scratch = method == Method::FromScratch;
        let repeats_layers = is_cluster || method == Method::PretrainingFinetuning;
        ensure!(
            !is_cluster || self.learngene.is_some(),
            "--method {} needs a learngene: make one with `learngene condense`",
            method.name()
        );
        // For training from scratch a checkpoint may stand in for the learngene, as a shape.
        let takes_checkpoint = method.takes_ancestor() || (is_scratch && self.learngene.is_none());
        let flags = [
            ("--checkpoint", takes_checkpoint, self.ancestor.left().is_some()),
            ("--order", is_cluster, wanted.order != default.order),
            ("--projection", is_cluster, wanted.projection.is_some()),
            ("--layers", !method.chooses_layers(), wanted.layers != default.layers),
            ("--new-layers", repeats_layers, wanted.new_layers != default.new_layers),
            ("--classifier", !is_scratch, wanted.classifier != default.classifier),
            ("--fold", !is_scratch, self.fold.is_some()),
            ("--inherited-layers", method.chooses_layers(), self.inherited_layers.is_some()),
            ("--distances", method == Method::AutoLearngene, self.distances.is_some()),
            (
                "--shared-layers",
                method == Method::WeightTransformation,
                self.shared_layers.is_some(),
            ),
        ];
        let idle = flags.into_iter().find(|(_, is_looked_at, is_given)| *is_given && !is_looked_at);
        if let Some((flag, ..)) = idle {
            let why = match flag {
                "--checkpoint" if is_scratch => ": the learngene tells the shape already",
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
    pub fn initialise(&self, wanted: &DescendantConfig) -> anyhow::Result<Initialised> {
        let learngene = self.learngene.as_ref().map(Learngene::read).transpose()?;
        let probed = learngene.as_ref().and_then(probe_preprocessing);
        if self.method == Method::ClusterLearngene {
            let learngene = learngene.context("a cluster-learngene needs a learngene")?;
            let descendant = expand(&learngene, wanted)?;
            let ancestor = ancestor_config(&learngene);
            return Ok(Initialised {
                descendant,
                ancestor,
                preprocessing: probed,
                ancestor_sha256: None,
                images_sha256: None,
            });
        }
        let shape = learngene.as_ref().map(ancestor_config);
        if self.method == Method::FromScratch {
            let (ancestor, preprocessing) = match shape {
                Some(shape) => (shape, probed),
                None => {
                    let whole = self.whole(None)?;
                    (whole.config, whole.pretrained_cfg.preprocessing)
                }
            };
            let config = wanted.shape(&ancestor)?;
            let front = DescendantConfig { layers: LayerPolicy::default(), ..wanted.clone() };
            // A list tells the depth, and layers may differ in heads.
            if wanted.layers != front.layers && front.shape(&ancestor).is_ok_and(|it| it == config)
            {
                tracing::warn!(
                    "--layers has no effect: no layer is inherited, and the shape is the same without"
                );
            }
            let descendant = Descendant {
                parameters: from_scratch(&config, self.seed)?,
                config,
                inherited_parameters: 0,
                layers: Vec::new(),
                slots: Vec::new(),
                ffn: Vec::new(),
            };
            return Ok(Initialised {
                descendant,
                ancestor,
                preprocessing,
                ancestor_sha256: None,
                images_sha256: None,
            });
        }
        let whole = self.whole(shape.as_ref())?;
        let (descendant, images_sha256) = self.inherit(&whole, wanted)?;
        Ok(Initialised {
            descendant,
            ancestor: whole.config,
            preprocessing: whole.pretrained_cfg.preprocessing.or(probed),
            ancestor_sha256: Some(whole.sha256),
            images_sha256,
        })
    }

    /// The whole ancestor, of the learngene's shape where there is one.
    fn whole(&self, shape: Option<&ModelConfig>) -> anyhow::Result<Checkpoint> {
        let args = self.ancestor.left();
        let args = args.with_context(|| format!("{} needs --checkpoint", self.method.name()))?;
        // Positions were interpolated to the learngene's image size, if to any.
        let whole = args.read(shape.map(ModelConfig::image_size), None)?;
        if let (Some(shape), Some(learngene)) = (shape, &self.learngene) {
            let num_classes = whole.config.num_classes();
            ensure!(
                whole.config == shape.clone().with_num_classes(num_classes),
                "{} is of another shape than the ancestor of {}",
                args.checkpoint,
                learngene.display()
            );
        }
        Ok(whole)
    }

    /// The descendant of the whole ancestor, and the hash of the images that had a say in it.
    fn inherit(
        &self,
        whole: &Checkpoint,
        wanted: &DescendantConfig,
    ) -> anyhow::Result<(Descendant, Option<String>)> {
        let (parameters, config) = (&whole.parameters, &whole.config);
        let descendant = match self.method {
            Method::HeuristicLearngene => {
                heuristic_learngene(parameters, config, self.inherited_layers, wanted)?
            }
            Method::AutoLearngene => {
                let (change, images) = self.representation_change(whole)?;
                let count = self.inherited_layers;
                let descendant = auto_learngene(parameters, config, &change, count, wanted)?;
                return Ok((descendant, images));
            }
            Method::WeightTransformation => {
                weight_transformation(parameters, config, self.shared_layers, wanted)?
            }
            Method::WeightSelection => weight_selection(parameters, config, wanted)?,
            Method::PretrainingFinetuning | Method::ClusterLearngene | Method::FromScratch => {
                pretraining_finetuning(parameters, config, wanted)?
            }
        };
        Ok((descendant, None))
    }

    /// How much each layer of the ancestor changes its input, and the hash of the images.
    fn representation_change(
        &self,
        whole: &Checkpoint,
    ) -> anyhow::Result<(Vec<f64>, Option<String>)> {
        let path = self.distances.as_ref().context("auto-learngene needs --distances")?;
        let distances = read_distances(path)?;
        if let Some(args) = self.ancestor.left() {
            let (source, config) = (&args.checkpoint, Some(&whole.config));
            check_ancestor(path, &distances, source, &whole.sha256, config)?;
        }
        let change = distances.representation_change.with_context(|| {
            format!(
                "{} does not tell how much each layer changes its input: measure it with \
                 `learngene probe --layer-changes`",
                path.display()
            )
        })?;
        Ok((change, distances.images_sha256))
    }
}

/// How the ancestor was shown its images, where models can be so too: distances that others measured
/// may tell statistics of pixels on another scale.
fn probe_preprocessing(learngene: &Learngene) -> Option<Preprocessing> {
    let told = &learngene.manifest().probe.preprocessing;
    let (crop_pct, mean, std) = (told.crop_pct, told.mean, told.std);
    let usual = Preprocess::new(u32::try_from(told.image_size).unwrap_or(u32::MAX));
    match (Preprocess { crop_pct, mean, std, ..usual }).check() {
        Ok(_) => Some(Preprocessing { mean, std, crop_pct: Some(crop_pct) }),
        Err(error) => {
            tracing::warn!("left out how the learngene's images were prepared: {error}");
            None
        }
    }
}
