//! `learngene expand`

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use learngene_expansion::{
    ClassifierPolicy, DescendantConfig, HeadPolicy, LayerPolicy, Order, ProjectionPolicy, Ratio,
    SlotSource, ancestor_config, expand, from_scratch, pretraining_finetuning,
};
use learngene_format::Learngene;
use learngene_models::{
    StateDict, VitConfig,
    checkpoint::{self, ReadOptions},
    count_macs, count_parameters,
};
use serde::Serialize;

use crate::{
    args::{WriteArgs, image_size, read_checkpoint},
    files::{check_output, write_whole},
};

/// Initialises a descendant of any depth and head count from a learngene alone.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene expand deit_base.learngene --depth 6 --head-ratio 2 \
    --num-classes 10 --out descendant.safetensors"
)]
pub struct Args {
    /// The learngene.
    learngene: PathBuf,
    /// How the descendant is initialised; the others are for comparison.
    #[arg(long, value_enum, default_value_t = Method::ClusterLearngene)]
    method: Method,
    /// The whole ancestor, for `pretraining-finetuning`.
    #[arg(long, value_name = "FILE", required_if_eq("method", "pretraining-finetuning"))]
    checkpoint: Option<PathBuf>,
    /// Architecture of the ancestor by timm's name, where its tensors cannot tell it.
    #[arg(long, value_name = "NAME", requires = "checkpoint")]
    arch: Option<String>,
    /// Attention heads of the ancestor, where its tensors cannot tell them: one number, or one for
    /// each layer.
    #[arg(long, value_name = "N[,N..]", value_delimiter = ',', requires = "checkpoint")]
    num_heads: Option<Vec<usize>>,
    /// Layers of the descendant; the ancestor's by default.
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Which layers it inherits: front, even, last, or a list such as 0,2,4.
    #[arg(long, value_name = "POLICY", default_value_t)]
    layers: LayerPolicy,
    /// Heads of its layers: a number, a list, incrementing or decrementing.
    #[arg(long, value_name = "HEADS", conflicts_with = "head_ratio")]
    heads: Option<HeadPolicy>,
    /// Heads of the ancestor's layers divided by its own: 2, 4/3, 1/8.
    #[arg(long, value_name = "W")]
    head_ratio: Option<Ratio>,
    /// Order in which centroids fill heads: priority, origin, increasing or decreasing.
    #[arg(long, default_value_t)]
    order: Order,
    /// Where a head's output-projection columns come from: centroid, rescaled or origin.
    #[arg(long, default_value_t)]
    projection: ProjectionPolicy,
    /// Whether the classifier is drawn anew or inherited: fresh or inherit.
    #[arg(long, default_value_t)]
    classifier: ClassifierPolicy,
    /// Classes of the descendant; the ancestor's by default.
    #[arg(long, value_name = "N")]
    num_classes: Option<usize>,
    /// Side of the descendant's images in pixels; the ancestor's by default.
    #[arg(long, value_name = "PIXELS", value_parser = image_size)]
    image_size: Option<usize>,
    /// Seed of what is drawn.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    write: WriteArgs,
    /// Checkpoint to write; what it is made of stands beside it, in a .json file of the same name.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// An initialisation.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    /// Priority weight-sharing from the learngene.
    ClusterLearngene,
    /// Freshly drawn weights.
    FromScratch,
    /// The ancestor's front layers and heads.
    PretrainingFinetuning,
}

/// What a descendant is made of: printed, and kept beside its checkpoint.
#[derive(Serialize)]
struct Expansion {
    producer: &'static str,
    method: Method,
    learngene_sha256: String,
    wanted: DescendantConfig,
    config: VitConfig,
    parameters: u64,
    inherited_parameters: u64,
    macs: u64,
    layers: Vec<usize>,
    slots: Vec<Vec<SlotSource>>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let description = args.description()?;
    let learngene = Learngene::read(&args.learngene)?;
    let wanted = args.wanted();
    let (parameters, expansion) = args.initialise(&learngene, wanted)?;
    args.write.write(&args.out, &expansion.config, &parameters)?;
    write_whole(&description, serde_json::to_string_pretty(&expansion)?.as_bytes())?;
    super::print(args.json, &expansion, |expansion| {
        format!(
            "{}: {} layers of {:?} heads, {} parameters, {} of them inherited, {} multiply-accumulates an image",
            args.out.display(),
            expansion.config.depth(),
            expansion.config.num_heads,
            expansion.parameters,
            expansion.inherited_parameters,
            expansion.macs
        )
    })
}

impl Args {
    /// Where the description goes; neither it nor the checkpoint takes the place of another file of
    /// this command.
    fn description(&self) -> anyhow::Result<PathBuf> {
        let mut inputs = vec![self.learngene.as_path()];
        inputs.extend(self.checkpoint.as_deref());
        let description = self.out.with_extension("json");
        check_output(&self.out, &inputs)?;
        check_output(&description, &inputs)?;
        let is_config = description.file_name().is_some_and(|name| name == "config.json");
        ensure!(
            description != self.out && !is_config,
            "the description beside the checkpoint would be {}, which has another use, so choose \
             another --out",
            description.display()
        );
        Ok(description)
    }

    fn wanted(&self) -> DescendantConfig {
        let heads = match (&self.heads, self.head_ratio) {
            (Some(heads), _) => heads.clone(),
            (None, Some(ratio)) => HeadPolicy::Ratio(ratio),
            (None, None) => HeadPolicy::default(),
        };
        DescendantConfig {
            depth: self.depth,
            layers: self.layers.clone(),
            heads,
            order: self.order,
            projection: self.projection,
            classifier: self.classifier,
            num_classes: self.num_classes,
            image_size: self.image_size,
            seed: self.seed,
        }
    }

    fn initialise(
        &self,
        learngene: &Learngene,
        wanted: DescendantConfig,
    ) -> anyhow::Result<(StateDict, Expansion)> {
        let descendant = match self.method {
            Method::ClusterLearngene => Some(expand(learngene, &wanted)?),
            Method::PretrainingFinetuning => {
                let path = self
                    .checkpoint
                    .as_ref()
                    .context("pretraining-finetuning needs --checkpoint")?;
                let options = ReadOptions {
                    arch: self.arch.clone(),
                    num_heads: self.num_heads.clone(),
                    ..ReadOptions::default()
                };
                let ancestor = read_checkpoint(path, &options)?;
                Some(pretraining_finetuning(&ancestor.parameters, &ancestor.config, &wanted)?)
            }
            Method::FromScratch => None,
        };
        let (config, parameters, inherited_parameters, layers, slots) = match descendant {
            Some(made) => {
                (made.config, made.parameters, made.inherited_parameters, made.layers, made.slots)
            }
            None => {
                let config = wanted.shape(&ancestor_config(learngene))?;
                let parameters = from_scratch(&config, self.seed)?;
                (config, parameters, 0, Vec::new(), Vec::new())
            }
        };
        let expansion = Expansion {
            producer: crate::PRODUCER,
            method: self.method,
            learngene_sha256: checkpoint::sha256(&self.learngene)?,
            wanted,
            parameters: count_parameters(&config),
            macs: count_macs(&config),
            inherited_parameters,
            layers,
            slots,
            config,
        };
        Ok((parameters, expansion))
    }
}
