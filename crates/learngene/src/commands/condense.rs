//! `learngene condense`

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::ensure;
use learngene_checkpoints::Checkpoint;
use learngene_condensing::{
    CondenseOptions, FitOptions, RunningAncestor, condense, condense_to, measure, refit,
};
use learngene_format::{Clusters, Distances, HeadOrder, Learngene, Store};
use learngene_models::Model;
use learngene_tensors::Sha256;
use serde::Serialize;

use crate::{
    ancestry::{ProbeArgs, ProbeImages},
    args::{CheckpointArgs, Either, OutArgs, Written, choice, count_with_unit, number},
    cluster_args::{ClusterArgs, FfnArgs},
    kind::Kind,
    measured::check_ancestor,
    progress,
    text::{count, thousands},
};

/// Condenses an ancestor into a learngene.
///
/// Chooses the layers, heads and hidden units that best preserve the ancestor's features in a file of the
/// given size, and fits the matrices that read them. With --paper or any clustering flag it keeps one head
/// per cluster and whole FFNs instead; it can then start from the files of `probe` and `cluster`.
/// By size it needs at least 32 images.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene condense deit_base.pth --images photos/ --max-size 50% --out half.learngene\n  \
    learngene condense deit_base.pth --images photos/ --paper --out paper.learngene",
    mut_arg("out", |out| out.value_parser(Kind::Learngene.name()))
)]
#[command(group = clap::ArgGroup::new("densities").required(true).args(["images", "distances"]))]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    #[command(flatten)]
    densities: Either<Measured, ProbeArgs>,
    #[command(flatten)]
    size: SizeArgs,
    /// Keeps one head per cluster, as in the paper, and whole FFNs (--ffn paper shares them).
    #[arg(long, help_heading = "Clustering")]
    paper: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    ffn: FfnArgs,
    /// Keeps each layer's whole output projection, for the projection policy `origin`.
    #[arg(long, help_heading = "Clustering")]
    keep_projection: bool,
    /// Fits the output projections and second FFN matrices to the heads that are kept, layer by layer.
    #[arg(long, requires = "images", help_heading = "Clustering")]
    refit: bool,
    /// Ridge penalty of the fits, as a multiple of the mean variance of the inputs [default: 0.1].
    #[arg(long, value_name = "RIDGE", value_parser = number::<f64>, help_heading = "Size and fit",
        conflicts_with = "distances")]
    ridge: Option<f64>,
    /// Keeps the ancestor's classifier.
    #[arg(long, help_heading = "Output")]
    keep_classifier: bool,
    /// How values are stored: all in f16, or matrices of layers in 8 or 4 bits and all else in f16
    /// [default: as the checkpoint has them].
    #[arg(long, help_heading = "Output", value_name = "STORE",
        value_parser = choice::<Store>(["f16", "int8", "int4"]))]
    store: Option<Store>,
    #[command(flatten)]
    out: OutArgs,
}

/// The size of the file.
#[derive(clap::Args)]
#[command(next_help_heading = "Size and fit")]
#[group(conflicts_with_all = ["distances", "paper", "ClusterArgs", "FfnArgs", "keep_projection", "refit"])]
struct SizeArgs {
    /// Maximum size of the file, in bytes (5M) or as a share of the bytes of the ancestor's parameters
    /// [default: 50%].
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    max_size: Option<MaxSize>,
    /// Order in which heads are kept: by what they add to the tokens, or by how much their attention
    /// distances differ [default: output].
    #[arg(long, value_parser = choice::<HeadOrder>(["output", "density"]))]
    heads_by: Option<HeadOrder>,
    /// Leaves out the factors that refit matrices to fewer heads and hidden units: the file is smaller,
    /// but smaller descendants lose more.
    #[arg(long)]
    one_size: bool,
}

/// What `--max-size` says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum MaxSize {
    Bytes(u64),
    /// In parts of the ancestor's parameters.
    Share(f64),
}

impl FromStr for MaxSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(percent) = text.strip_suffix('%') else {
            return count_with_unit(text).map(Self::Bytes);
        };
        let percent = percent.trim().parse().ok().filter(|percent| (0.0..=1e6).contains(percent));
        let percent: f64 =
            percent.ok_or_else(|| format!("wanted a share such as 50%, got `{text}`"))?;
        Ok(Self::Share(percent / 100.0))
    }
}

impl MaxSize {
    const DEFAULT: Self = Self::Share(0.5);

    fn bytes(self, ancestor: &Checkpoint) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Share(share) => {
                let values = ancestor.shape.count_parameters() * ancestor.dtype.size() as u64;
                (share * values as f64) as u64
            }
        }
    }
}

impl Args {
    /// Whether clusters decide what is kept, not a size.
    fn is_by_clusters(&self) -> bool {
        let asked = self.paper || self.keep_projection || self.refit;
        asked || self.cluster.is_given() || self.ffn.is_given()
    }

    fn fit_options(&self) -> FitOptions {
        FitOptions {
            ridge: self.ridge.unwrap_or(FitOptions::default().ridge),
            any_size: !self.is_by_clusters() && !self.size.one_size,
            classifier: self.keep_classifier,
            store: self.store,
        }
    }

    /// The learngene of the given size that loses least.
    fn condense_to(
        &self,
        ancestor: RunningAncestor,
        probe: &ProbeArgs,
        images: &ProbeImages,
    ) -> anyhow::Result<Learngene> {
        let options = self.fit_options();
        let settings = probe.settings(ancestor.checkpoint.sha256, images);
        let heads_by = self.size.heads_by.unwrap_or(HeadOrder::Output);
        let bar = progress::bar(images.len() as u64, "images").with_message("measuring");
        let mut shown = images.again(&bar);
        let mut worth = measure(&ancestor, settings, heads_by, &mut shown)?;
        worth.distances.producer = crate::PRODUCER.into();
        let bytes = self.size.max_size.unwrap_or(MaxSize::DEFAULT).bytes(&ancestor.checkpoint);
        let sizes = worth.within(&ancestor.checkpoint, bytes, options)?;
        bar.set_message("fitting");
        let learngene = condense_to(ancestor, &worth, &sizes, &mut shown, options)?;
        bar.finish_and_clear();
        Ok(learngene)
    }

    /// Condenses what earlier commands measured.
    fn with_files(&self, files: &Measured) -> anyhow::Result<Learngene> {
        let distances = Distances::read(&files.distances)?;
        let clusters = files.clusters.as_ref().map(Clusters::read).transpose()?;
        let ancestor = read_ancestor(&self.checkpoint, &files.distances, &distances)?;
        self.by_clusters(&ancestor, &distances, clusters)
    }

    /// Probes the ancestor, then condenses it.
    fn with_images(&self, probe: &ProbeArgs) -> anyhow::Result<Learngene> {
        let ancestor = self.checkpoint.read(probe.shown.preprocess.image_size, None)?;
        self.cluster.check(&self.ffn, &ancestor.shape)?;
        let images = probe.shown.open(&ancestor, &self.checkpoint.checkpoint)?;
        if !self.is_by_clusters() {
            let ancestor = RunningAncestor::load(ancestor, &images.device)?;
            return self.condense_to(ancestor, probe, &images);
        }
        let model = Model::load(&ancestor.shape, &ancestor.parameters, &images.device)?;
        let distances = probe.measure(&model, ancestor.sha256, &images)?;
        let learngene = self.by_clusters(&ancestor, &distances, None)?;
        if !self.refit {
            return Ok(learngene);
        }
        let ancestor = RunningAncestor { model, checkpoint: ancestor };
        let bar = progress::bar(images.len() as u64, "images").with_message("fitting");
        let options = self.fit_options();
        let shown = &mut images.again(&bar);
        let refitted = refit(learngene, ancestor, shown, images.sha256, options)?;
        bar.finish_and_clear();
        Ok(refitted)
    }

    /// One head of each cluster.
    fn by_clusters(
        &self,
        ancestor: &Checkpoint,
        distances: &Distances,
        clusters: Option<Clusters>,
    ) -> anyhow::Result<Learngene> {
        let clusters = match clusters {
            Some(clusters) => clusters,
            None => self.cluster.cluster(&self.ffn, distances, Some(&ancestor.shape))?,
        };
        let options = CondenseOptions {
            keep_projection: self.keep_projection,
            classifier: self.keep_classifier,
            // Matrices that are fitted are rounded then.
            store: self.store.filter(|_| !self.refit),
        };
        Ok(condense(ancestor, distances, &clusters, options)?)
    }
}

/// What earlier commands left.
#[derive(clap::Args)]
#[command(next_help_heading = "Instead of a probe")]
struct Measured {
    /// Distances that `probe` measured.
    // The group `ProbeArgs` is empty, for clap puts no flags into that of a struct with flattened ones.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["limit", "split", "batch_size",
        "convention", "bad_images", "PreprocessArgs", "DeviceArgs"])]
    distances: PathBuf,
    /// Clusters that `cluster` found in these distances.
    #[arg(long, value_name = "FILE", requires = "distances",
        conflicts_with_all = ["images", "ClusterArgs", "FfnArgs"])]
    clusters: Option<PathBuf>,
}

/// What was condensed, for a program.
#[derive(Serialize)]
struct Condensed {
    #[serde(flatten)]
    written: Written,
    heads: usize,
    kept_heads: usize,
    images: u64,
    parameters: u64,
    ancestor_parameters: u64,
}

/// Reads the checkpoint that distances were measured on, for the images that were probed then.
///
/// Where it cannot be read, perhaps it is another one than the distances were measured on, and that is
/// what the user should hear.
fn read_ancestor(
    args: &CheckpointArgs,
    file: &Path,
    distances: &Distances,
) -> anyhow::Result<Checkpoint> {
    // Positions for the images that were probed, as if they were probed here.
    let read = args.read(Some(distances.preprocessing.image_size), None);
    let (sha256, shape) = match &read {
        Ok(Checkpoint { sha256, shape, .. }) => (*sha256, Some(shape)),
        Err(_) => (Sha256::of_file(args.checkpoint.path()?)?, None),
    };
    check_ancestor(file, distances, &args.checkpoint, sha256, shape)?;
    read
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut inputs: Vec<&Path> = args.checkpoint.checkpoint.file().into_iter().collect();
    if let Either::Left(Measured { distances, clusters }) = &args.densities {
        inputs.push(distances);
        inputs.extend(clusters.as_deref());
    }
    ensure!(
        args.ridge.is_none() || args.refit || !args.is_by_clusters(),
        "--ridge has no effect where nothing is fitted: leave it out, or pass --refit"
    );
    args.fit_options().check()?;
    args.out.prepare(Kind::Learngene, &inputs)?;
    let learngene = match &args.densities {
        Either::Left(files) => args.with_files(files)?,
        Either::Right(probe) => args.with_images(probe)?,
    };
    learngene.write(&args.out.out)?;

    let manifest = learngene.manifest();
    let json = args.out.json;
    let condensed = Condensed {
        written: args.out.written()?,
        heads: manifest.distances.num_heads().iter().sum(),
        kept_heads: manifest.shape.num_heads().iter().sum(),
        images: manifest.distances.images,
        parameters: manifest.parameters.stored,
        ancestor_parameters: manifest.ancestor.parameters,
    };
    super::print(json, &condensed, |condensed| {
        format!(
            "{}: {} of {} heads by {}, {} of {} parameters",
            condensed.written.file.display(),
            condensed.kept_heads,
            condensed.heads,
            count(condensed.images as usize, "image", "images"),
            thousands(condensed.parameters),
            thousands(condensed.ancestor_parameters)
        )
    })
}
