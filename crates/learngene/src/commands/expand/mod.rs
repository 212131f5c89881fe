//! `learngene expand`

mod initialise;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use learngene_checkpoints::PretrainedCfg;
use learngene_expansion::{
    ClassifierPolicy, DepthPolicy, Descendant, DescendantConfig, HeadPolicy, LayerPolicy,
    NewLayers, Order, ProjectionPolicy, Ratio,
};
use learngene_models::{Classifier, Model};
use learngene_tensors::Sha256;
use learngene_training::attach;

use crate::{
    args::{CheckpointArgs, Either, Nothing, image_size, whole_number},
    budget_args::BudgetArgs,
    checkpoint_file::WriteArgs,
    description::Description,
    device::DeviceChoice,
    files::write_whole,
    kind::Kind,
    method::Method,
    text::{count, layer_list, thousands},
    transformations_file::{self, Origin},
};

use initialise::Initialised;

/// Initialises a descendant of any depth and head count from a learngene alone.
///
/// For comparison, from the whole ancestor or from nothing by other methods.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  learngene expand deit_base.learngene --max-params 20M \
    --num-classes 10 --out descendant.safetensors\n  \
    learngene expand --method heuristic-learngene --checkpoint deit_base.pth --depth 6 \
    --num-classes 10 --out heuristic.safetensors",
    mut_arg("checkpoint", |model| model.long("checkpoint")),
    mut_group("BudgetArgs", |budget| budget.conflicts_with_all(SIZES)))]
pub struct Args {
    /// The learngene; other methods than the first can do without.
    #[arg(required_unless_present = "checkpoint")]
    learngene: Option<PathBuf>,
    /// How the descendant is initialised. All but the first two take the --checkpoint of the whole
    /// ancestor.
    #[arg(long, value_enum, default_value_t = Method::ClusterLearngene, requires_ifs([
        ("pretraining-finetuning", "checkpoint"), ("heuristic-learngene", "checkpoint"),
        ("auto-learngene", "checkpoint"),
        ("weight-transformation", "checkpoint"), ("weight-selection", "checkpoint")]))]
    method: Method,
    #[command(flatten)]
    ancestor: Either<CheckpointArgs, Nothing>,
    /// Layers of the descendant: same as the learngene's, a number, a number for each stage of a Swin
    /// (1,1,3,1), or a part of the learngene's (x3/4). By clusters, a learngene is as deep as its ancestor
    /// and has as many heads.
    #[arg(long, value_name = "DEPTH", default_value_t, allow_hyphen_values = true,
        help_heading = SHAPE)]
    depth: DepthPolicy,
    /// Which layers it inherits, in each stage: front (a deeper descendant repeats the last), even
    /// (a deeper one repeats all in place), last, or a list such as 0,2,4 of all stages' layers.
    #[arg(long, value_name = "POLICY", default_value_t, allow_hyphen_values = true,
        help_heading = INHERITANCE)]
    layers: LayerPolicy,
    /// Heads of its layers: same as the learngene's, a number, a list, a part or multiple of the learngene's
    /// (x1/2, x2), incrementing (all in the first
    /// third of the layers, three quarters in the middle, half in the last, rounded) or decrementing
    /// (the reverse) [default: same].
    #[arg(long, value_name = "HEADS", allow_hyphen_values = true,
        help_heading = SHAPE)]
    heads: Option<HeadPolicy>,
    /// Order in which centroids fill heads: priority, origin, increasing or decreasing.
    #[arg(long, default_value_t, help_heading = INHERITANCE)]
    order: Order,
    /// Where a head's output-projection columns come from: rescaled and centroid take those of the
    /// head, scaled by its copies or as they are; origin leaves columns in their place, as the
    /// published code does; refit, the default where the learngene was condensed by size or with --refit,
    /// takes those fitted to the ancestor's outputs. Otherwise rescaled is the default.
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
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>,
        help_heading = SHAPE)]
    embed_dim: Option<usize>,
    /// Hidden width of its FFNs, divided by the width of its tokens: 4, 8/3; the ancestor's by
    /// default.
    #[arg(long, value_name = "RATIO", help_heading = SHAPE)]
    mlp_ratio: Option<Ratio>,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Device that --max-latency is measured on.
    #[arg(long, default_value_t, requires = "max_latency", help_heading = "Budget")]
    device: DeviceChoice,
    /// Classes of the descendant, 0 for no classifier; the ancestor's by default.
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>,
        help_heading = SHAPE)]
    num_classes: Option<usize>,
    /// Side of the descendant's images in pixels; the ancestor's by default.
    #[arg(long, value_name = "PIXELS", value_parser = image_size, help_heading = SHAPE)]
    image_size: Option<usize>,
    /// Layers that heuristic-learngene (the last) or auto-learngene (the first) inherits; the others are
    /// drawn [default: half of the ancestor's].
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>,
        help_heading = INHERITANCE)]
    inherited_layers: Option<usize>,
    /// Layers in a row that share weights by weight-transformation [default: 2].
    #[arg(long, value_name = "N", value_parser = whole_number::<usize>,
        help_heading = INHERITANCE)]
    shared_layers: Option<usize>,
    /// Folds in the transformations that a descendant of the same flags learnt: the file
    /// transformations.safetensors of its training's warm_up folder.
    #[arg(long, value_name = "FILE", help_heading = INHERITANCE)]
    fold: Option<PathBuf>,
    /// Seed of what is drawn.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number::<u64>,
        help_heading = INHERITANCE)]
    seed: u64,
    #[command(flatten)]
    write: WriteArgs,
    /// Checkpoint to write. Beside it stand what it is made of, in a .json file of the same name; with
    /// --format hf config.json and preprocessor_config.json; and of a shape that neither timm nor
    /// transformers can hold a config.json, where the folder holds no other checkpoint. Those of another
    /// checkpoint are never replaced.
    #[arg(long, short, value_name = "FILE", value_parser = Kind::Checkpoint.name(), help_heading = "Output")]
    out: PathBuf,
    /// Prints JSON.
    #[arg(long, help_heading = "Output")]
    json: bool,
}

const SHAPE: &str = "Shape";
/// Flags that say what a budget chooses.
const SIZES: [&str; 5] = ["depth", "layers", "heads", "mlp_ratio", "embed_dim"];
const INHERITANCE: &str = "Inheritance";

pub fn run(args: Args) -> anyhow::Result<()> {
    let description = args.description()?;
    let config = args.config();
    args.check(&config)?;
    // Hashing is sequential, so it runs beside the rest.
    let (initialised, learngene_sha256) = rayon::join(
        || args.initialise(&config),
        || args.learngene.as_deref().map(Sha256::of_file).transpose(),
    );
    let Initialised { descendant, ancestor, preprocessing, ancestor_sha256 } = initialised?;
    let origin = Origin {
        method: args.method,
        learngene_sha256: learngene_sha256?,
        ancestor_sha256,
        inherited_layers: args.inherited_layers,
        shared_layers: args.shared_layers,
        config,
    };
    let descendant = match &args.fold {
        Some(file) => folded(descendant, file, &origin)?,
        None => descendant,
    };
    let Descendant { shape, parameters, inherited_parameters, layers, slots, ffn } = descendant;
    if args.new_layers != NewLayers::default() && words::repeats(&layers).is_none() {
        tracing::warn!("--new-layers has no effect: no layer repeats another");
    }
    // Classes are named by the images that a classifier is trained on.
    let pretrained_cfg = PretrainedCfg { preprocessing, label_names: Vec::new() };
    args.write.write(&args.out, &shape, &parameters, Some(&pretrained_cfg))?;
    let expansion = Description {
        producer: crate::PRODUCER.into(),
        origin,
        parameters: shape.count_parameters(),
        macs: shape.count_macs(),
        inherited_parameters,
        layers,
        slots,
        ffn,
        shape,
        folded_sha256: args.fold.as_deref().map(Sha256::of_file).transpose()?,
    };
    write_whole(&description, serde_json::to_string_pretty(&expansion)?.as_bytes())?;
    super::print(args.json, &expansion, |expansion| {
        let Description { shape, parameters, inherited_parameters, macs, layers, .. } = expansion;
        let mut text = format!(
            "{}: {} of {} heads, {} parameters, {} values inherited, {} multiply-accumulates an image",
            args.out.display(),
            count(shape.depth(), "layer", "layers"),
            layer_list(&shape.num_heads()),
            thousands(*parameters),
            thousands(*inherited_parameters),
            thousands(*macs)
        );
        let is_shared = args.method == Method::WeightTransformation;
        match words::repeats(layers) {
            Some(repeats) if is_shared => text.extend([
                "\nsharing weights: ",
                &repeats,
                ", but for norms; `train --transform-ffn low-rank` learns how they differ",
            ]),
            Some(repeats) => text.extend(["\ndeeper than what it inherits: ", &repeats]),
            None => {}
        }
        if args.method.chooses_layers() {
            text.extend(["\n", &words::origins(layers)]);
        }
        // Folded transformations have made copies different, or were not meant to.
        if args.fold.is_none() {
            let twins = words::twins(shape, layers, &ancestor);
            for copies in [words::copies(&expansion.slots), twins] {
                text.extend(copies.map(|copies| format!("\n{copies}")));
            }
        }
        text
    })
}

/// The descendant with transformations folded into its parameters.
fn folded(descendant: Descendant, file: &Path, by: &Origin) -> anyhow::Result<Descendant> {
    let (transformations, learnt) = transformations_file::read(file)?;
    let place = || format!("{} was not learnt by such a descendant", file.display());
    if let Some(difference) = learnt.by.difference(by) {
        return Err(anyhow!(difference).context(place()));
    }
    let device = DeviceChoice::default().open()?;
    let model = Model::load(&descendant.shape, &descendant.parameters, &device)?;
    let transforming = attach(model, &descendant.plan(), &learnt.config).with_context(place)?;
    let transforming = transforming.with_transformations(&transformations).with_context(place)?;
    Ok(Descendant { parameters: transforming.fold().state_dict(), ..descendant })
}

impl Args {
    /// Where the description goes; neither it nor the checkpoint takes the place of another file of
    /// this command.
    fn description(&self) -> anyhow::Result<PathBuf> {
        let files = [&self.learngene, &self.fold];
        let mut inputs: Vec<&Path> = files.into_iter().flatten().map(PathBuf::as_path).collect();
        inputs.extend(self.ancestor.left().and_then(|ancestor| ancestor.checkpoint.file()));
        let description = self.out.with_extension("json");
        ensure!(
            description.file_name().is_none_or(|name| name != "config.json"),
            "the description beside the checkpoint would be {}, which has another use, so choose \
             another --out",
            description.display()
        );
        Kind::Checkpoint.prepare(&self.out, &inputs)?;
        Kind::Description.prepare(&description, &inputs)?;
        Ok(description)
    }

    fn config(&self) -> DescendantConfig {
        DescendantConfig {
            depth: self.depth.clone(),
            layers: self.layers.clone(),
            heads: self.heads.clone().unwrap_or_default(),
            order: self.order,
            projection: self.projection,
            new_layers: self.new_layers,
            embed_dim: self.embed_dim,
            mlp_ratio: self.mlp_ratio,
            hidden_dim: None,
            classifier: self.classifier,
            num_classes: self.num_classes,
            image_size: self.image_size,
            seed: self.seed,
        }
    }
}
