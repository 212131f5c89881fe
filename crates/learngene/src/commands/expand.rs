//! `learngene expand`

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail, ensure};
use clap::ValueEnum;
use learngene_expansion::{
    ClassifierPolicy, DepthPolicy, Descendant, DescendantConfig, HeadPolicy, LayerPolicy,
    NewLayers, Order, ProjectionPolicy, Ratio, SlotSource, ancestor_config, attach, expand,
    from_scratch, pretraining_finetuning,
};
use learngene_format::Learngene;
use learngene_models::{Classifier, ModelConfig, checkpoint, count_macs, count_parameters};
use serde::Serialize;

use crate::{
    args::{CheckpointArgs, Either, Nothing, image_size},
    checkpoint_file::WriteArgs,
    device::DeviceChoice,
    files::{prepare, write_whole},
    text::{count, heads, list, thousands},
    transformations_file::{self, Origin},
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
    /// How the descendant is initialised; the others are for comparison, and
    /// `pretraining-finetuning` needs the --checkpoint of the whole ancestor.
    #[arg(long, value_enum, default_value_t = Method::ClusterLearngene,
        requires_if("pretraining-finetuning", "checkpoint"))]
    method: Method,
    #[command(flatten)]
    ancestor: Either<CheckpointArgs, Nothing>,
    /// Layers of the descendant: same as the ancestor's, a number, a number for each stage of a Swin
    /// (1,1,3,1), or a part of the ancestor's (x3/4).
    #[arg(long, value_name = "DEPTH", default_value_t, allow_hyphen_values = true,
        help_heading = SHAPE)]
    depth: DepthPolicy,
    /// Which layers it inherits, in each stage: front (a deeper descendant repeats the last), even
    /// (a deeper one repeats all in place), last, or a list such as 0,2,4 of all stages' layers.
    #[arg(long, value_name = "POLICY", default_value_t, help_heading = INHERITANCE)]
    layers: LayerPolicy,
    /// Heads of its layers: same as the ancestor's, a number, a list, incrementing (all in the first
    /// third of the layers, three quarters in the middle, half in the last, rounded) or decrementing
    /// (the reverse) [default: same].
    #[arg(long, value_name = "HEADS", conflicts_with = "head_ratio", help_heading = SHAPE)]
    heads: Option<HeadPolicy>,
    /// Heads of the ancestor's layers divided by its own: 2, 4/3, 1/8.
    #[arg(long, value_name = "W", allow_negative_numbers = true, help_heading = SHAPE)]
    head_ratio: Option<Ratio>,
    /// Order in which centroids fill heads: priority, origin, increasing or decreasing.
    #[arg(long, default_value_t, help_heading = INHERITANCE)]
    order: Order,
    /// Where a head's output-projection columns come from: rescaled and centroid take those of the
    /// head, scaled by its copies or as they are; origin leaves columns in their place, as the
    /// published code does; refit, the default where the learngene was condensed with --refit, takes
    /// those fitted to the ancestor's outputs. Otherwise rescaled is the default.
    #[arg(long, help_heading = INHERITANCE)]
    projection: Option<ProjectionPolicy>,
    /// What layers start as that repeat one of the ancestor's: copy, or identity, which changes
    /// nothing until they learn.
    #[arg(long, default_value_t, value_name = "START", help_heading = INHERITANCE)]
    new_layers: NewLayers,
    /// Whether the classifier is drawn anew or inherited: fresh or inherit.
    #[arg(long, default_value_t, help_heading = INHERITANCE)]
    classifier: ClassifierPolicy,
    /// Width of its tokens (of a Swin's first stage); the ancestor's by default. Channels are chosen
    /// evenly, or repeated.
    #[arg(long, value_name = "N", help_heading = SHAPE)]
    embed_dim: Option<usize>,
    /// Hidden width of its feed-forward networks, divided by the width of its tokens: 4, 8/3; the
    /// ancestor's by default.
    #[arg(long, value_name = "RATIO", help_heading = SHAPE)]
    mlp_ratio: Option<Ratio>,
    /// Classes of the descendant; the ancestor's by default.
    #[arg(long, value_name = "N", help_heading = SHAPE)]
    num_classes: Option<usize>,
    /// Side of the descendant's images in pixels; the ancestor's by default.
    #[arg(long, value_name = "PIXELS", value_parser = image_size, help_heading = SHAPE)]
    image_size: Option<usize>,
    /// Folds in the transformations that a descendant of the same flags learnt: the file
    /// transformations.safetensors of its training's warm_up folder.
    #[arg(long, value_name = "FILE", help_heading = INHERITANCE)]
    fold: Option<PathBuf>,
    /// Seed of what is drawn.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = INHERITANCE)]
    seed: u64,
    #[command(flatten)]
    write: WriteArgs,
    /// Checkpoint to write; what it is made of stands beside it, in a .json file of the same name.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    out: PathBuf,
    /// Prints JSON.
    #[arg(long, help_heading = "Output")]
    json: bool,
}

const SHAPE: &str = "Shape";
const INHERITANCE: &str = "Inheritance";

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

impl Method {
    /// Its name on the command line.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A descendant, and the shape that it was made from.
struct Initialised {
    descendant: Descendant,
    ancestor: ModelConfig,
}

/// What a descendant is made of: printed, and kept beside its checkpoint.
#[derive(Serialize)]
struct Expansion {
    producer: &'static str,
    method: Method,
    learngene_sha256: String,
    wanted: DescendantConfig,
    config: ModelConfig,
    parameters: u64,
    inherited_parameters: u64,
    macs: u64,
    layers: Vec<usize>,
    slots: Vec<Vec<SlotSource>>,
    ffn: Vec<usize>,
    /// Of the file with the transformations that were folded in.
    #[serde(skip_serializing_if = "Option::is_none")]
    folded_sha256: Option<String>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let description = args.description()?;
    let wanted = args.wanted();
    args.check(&wanted)?;
    // A hash is of one byte after another, so it is taken beside the rest.
    let (initialised, learngene_sha256) =
        rayon::join(|| args.initialise(&wanted), || sha256(&args.learngene));
    let (Initialised { descendant, ancestor }, learngene_sha256) =
        (initialised?, learngene_sha256?);
    let descendant = match &args.fold {
        Some(file) => {
            let method = args.method.name();
            let wanted = wanted.clone();
            let learngene_sha256 = learngene_sha256.clone();
            folded(descendant, file, &Origin { method, learngene_sha256, wanted })?
        }
        None => descendant,
    };
    let Descendant { config, parameters, inherited_parameters, layers, slots, ffn } = descendant;
    args.write.write(&args.out, &config, &parameters)?;
    let expansion = Expansion {
        producer: crate::PRODUCER,
        method: args.method,
        folded_sha256: args.fold.as_deref().map(sha256).transpose()?,
        learngene_sha256,
        wanted,
        parameters: count_parameters(&config),
        macs: count_macs(&config),
        inherited_parameters,
        layers,
        slots,
        ffn,
        config,
    };
    write_whole(&description, serde_json::to_string_pretty(&expansion)?.as_bytes())?;
    super::print(args.json, &expansion, |expansion| {
        let Expansion { config, parameters, inherited_parameters, macs, layers, .. } = expansion;
        let mut text = format!(
            "{}: {} of {} heads, {} parameters, {} values inherited, {} multiply-accumulates an image",
            args.out.display(),
            count(config.depth(), "layer", "layers"),
            heads(&config.num_heads()),
            thousands(*parameters),
            thousands(*inherited_parameters),
            thousands(*macs)
        );
        if let Some(repeats) = repeats(layers) {
            text = format!("{text}\ndeeper than what it inherits: {repeats}");
        }
        // Transformations parted them, or were not meant to.
        if args.fold.is_none() {
            for copies in [copies(&expansion.slots), twins(expansion, &ancestor)] {
                text.extend(copies.map(|copies| format!("\n{copies}")));
            }
        }
        text
    })
}

fn sha256(path: &Path) -> anyhow::Result<String> {
    checkpoint::sha256(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The descendant with transformations folded into its parameters.
fn folded(descendant: Descendant, file: &Path, by: &Origin) -> anyhow::Result<Descendant> {
    let (transformations, learnt) = transformations_file::read(file)?;
    let place = || format!("{} was not learnt by such a descendant", file.display());
    if let Some(difference) = learnt.by.difference(by) {
        return Err(anyhow!(difference).context(place()));
    }
    let device = DeviceChoice::default().open()?;
    let model = descendant.config.load(&descendant.parameters, &device)?;
    let transforming = attach(model, &descendant.plan(), &learnt.config).with_context(place)?;
    let transforming = transforming.with_transformations(&transformations).with_context(place)?;
    Ok(Descendant { parameters: transforming.fold().state_dict(), ..descendant })
}

/// In how many layers heads begin, and so train, as copies of each other: equal weights get equal
/// gradients.
fn copies(slots: &[Vec<SlotSource>]) -> Option<String> {
    let has_copies = |slots: &&Vec<SlotSource>| {
        let sources = slots.iter().map(|slot| (slot.head, slot.projection_head));
        sources.collect::<BTreeSet<_>>().len() < slots.len()
    };
    let layers = slots.iter().filter(has_copies).count();
    (layers > 0).then(|| {
        let layers = count(layers, "layer", "layers");
        format!(
            "in {layers} several heads are copies of one, and stay equal while they train: \
             `train --transform-heads low-rank` parts them"
        )
    })
}

/// In how many layers hidden units begin, and so train, as copies of each other.
fn twins(expansion: &Expansion, ancestor: &ModelConfig) -> Option<String> {
    let hidden = |config: &ModelConfig, layer| config.layer(layer).mlp_hidden_dim;
    let is_wider = |(layer, source): &(usize, &usize)| {
        hidden(&expansion.config, *layer) > hidden(ancestor, **source)
    };
    let layers = expansion.layers.iter().enumerate().filter(is_wider).count();
    (layers > 0).then(|| {
        let layers = count(layers, "layer", "layers");
        format!(
            "in {layers} several hidden units are copies of one, and stay equal while they train: \
             `train --transform-ffn low-rank` parts them"
        )
    })
}

/// Which of the ancestor's layers several layers inherit: `layers 2, 3 repeat the ancestor's 2`.
fn repeats(layers: &[usize]) -> Option<String> {
    let sources: BTreeSet<usize> = layers.iter().copied().collect();
    let repeats = sources.into_iter().filter_map(|source| {
        let heirs: Vec<usize> = (0..layers.len()).filter(|heir| layers[*heir] == source).collect();
        (heirs.len() > 1).then(|| format!("layers {} repeat the ancestor's {source}", list(&heirs)))
    });
    let repeats: Vec<String> = repeats.collect();
    (!repeats.is_empty()).then(|| repeats.join("; "))
}

impl Args {
    /// Where the description goes; neither it nor the checkpoint takes the place of another file of
    /// this command.
    fn description(&self) -> anyhow::Result<PathBuf> {
        let mut inputs = vec![self.learngene.as_path()];
        inputs.extend(self.fold.as_deref());
        inputs.extend(self.ancestor.left().map(|ancestor| ancestor.checkpoint.as_path()));
        let description = self.out.with_extension("json");
        let is_config = description.file_name().is_some_and(|name| name == "config.json");
        ensure!(
            description != self.out && !is_config,
            "the description beside the checkpoint would be {}, which has another use, so choose \
             another --out",
            description.display()
        );
        prepare(&self.out, &inputs)?;
        prepare(&description, &inputs)?;
        Ok(description)
    }

    fn wanted(&self) -> DescendantConfig {
        let heads = match (&self.heads, self.head_ratio) {
            (Some(heads), _) => heads.clone(),
            (None, Some(ratio)) => HeadPolicy::Ratio(ratio),
            (None, None) => HeadPolicy::default(),
        };
        DescendantConfig {
            depth: self.depth.clone(),
            layers: self.layers.clone(),
            heads,
            order: self.order,
            projection: self.projection,
            new_layers: self.new_layers,
            embed_dim: self.embed_dim,
            mlp_ratio: self.mlp_ratio,
            classifier: self.classifier,
            num_classes: self.num_classes,
            image_size: self.image_size,
            seed: self.seed,
        }
    }

    /// Refuses what the method would not look at.
    fn check(&self, wanted: &DescendantConfig) -> anyhow::Result<()> {
        let default = DescendantConfig::default();
        let of_clusters = [
            ("--order", wanted.order != default.order),
            ("--projection", wanted.projection.is_some()),
        ];
        let of_heirs = [
            ("--new-layers", wanted.new_layers != default.new_layers),
            ("--classifier", wanted.classifier != default.classifier),
            ("--fold", self.fold.is_some()),
        ];
        let idle: Vec<(&str, bool)> = match self.method {
            Method::ClusterLearngene => vec![("--checkpoint", self.ancestor.left().is_some())],
            Method::PretrainingFinetuning => of_clusters.to_vec(),
            Method::FromScratch => {
                let checkpoint = ("--checkpoint", self.ancestor.left().is_some());
                [&of_clusters[..], &of_heirs, &[checkpoint]].concat()
            }
        };
        match idle.into_iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => bail!("--method {} does not look at {flag}", self.method.name()),
            None => Ok(()),
        }
    }

    /// Reads the learngene and makes the descendant.
    fn initialise(&self, wanted: &DescendantConfig) -> anyhow::Result<Initialised> {
        let learngene = Learngene::read(&self.learngene)?;
        let ancestor = ancestor_config(&learngene);
        let descendant = match self.method {
            Method::ClusterLearngene => expand(&learngene, wanted)?,
            Method::PretrainingFinetuning => {
                let args = self.ancestor.left();
                let args = args.context("pretraining-finetuning needs --checkpoint")?;
                // Positions were interpolated to the learngene's image size, if to any.
                let whole = args.read(Some(ancestor.image_size()), None)?;
                let num_classes = whole.config.num_classes();
                ensure!(
                    whole.config == ancestor.clone().with_num_classes(num_classes),
                    "{} is of another shape than the ancestor of {}",
                    args.checkpoint.display(),
                    self.learngene.display()
                );
                pretraining_finetuning(&whole.parameters, &whole.config, wanted)?
            }
            Method::FromScratch => {
                let config = wanted.shape(&ancestor)?;
                let parameters = from_scratch(&config, self.seed)?;
                let (layers, slots, ffn) = (Vec::new(), Vec::new(), Vec::new());
                let inherited_parameters = 0;
                Descendant { config, parameters, inherited_parameters, layers, slots, ffn }
            }
        };
        Ok(Initialised { descendant, ancestor })
    }
}
