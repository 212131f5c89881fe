//! `learngene tune`

mod svg;

use std::{path::PathBuf, str::FromStr};

use anyhow::ensure;
use learngene_clustering::{
    Budget, ClusterStability, NoisePolicy, RefitParams, TuneCurve, TuneParams, TunePoint,
    TuneSetting, stability, tune,
};
use serde::Serialize;

use crate::{
    ancestry::ProbeArgs,
    args::{CheckpointArgs, OutArgs, Written},
    files, progress,
    text::{bytes, count, list},
};

/// Chooses eps, min-points and the radius of feed-forward networks for a wanted size or loss of
/// features, and draws what every size costs.
///
/// All clusters that differ are tried, with an eps for each layer, and scored by the error that
/// `condense --refit ancestor` leaves of the ancestor's outputs on the images: the squared difference
/// relative to the variance, averaged over the attention and feed-forward outputs of all layers. The
/// setting chosen is printed as flags of `condense`, and how often each of its clusters comes out
/// again when the images are drawn anew.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene tune --checkpoint deit_base.pth --images photos/ --max-size 60% \
    --out curve.json --svg curve.svg\n  \
    learngene tune --checkpoint deit_base.pth --images photos/ --max-error 0.02 --out curve.json"
)]
#[command(group = clap::ArgGroup::new("budget").required(true).args(["max_size", "max_error"]))]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    bootstrap: BootstrapArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Draws the curve of size against error too.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    svg: Option<PathBuf>,
}

/// What the learngene may cost.
#[derive(clap::Args)]
#[command(next_help_heading = "Wanted")]
struct WantedArgs {
    /// Bytes of the file at most, or a share of the bytes of the ancestor's parameters: the least
    /// error is sought.
    #[arg(long, value_name = "BYTES|SHARE%", allow_hyphen_values = true)]
    max_size: Option<MaxSize>,
    /// Error at most, as a part of the variance: the smallest file is sought.
    #[arg(long, value_name = "ERROR", allow_negative_numbers = true)]
    max_error: Option<f64>,
}

/// What `--max-size` says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MaxSize(Budget);

impl FromStr for MaxSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let budget = match text.strip_suffix('%') {
            Some(share) => share.trim().parse().ok().map(Budget::MaxShare),
            None => text.parse().ok().map(Budget::MaxBytes),
        };
        budget.map(Self).ok_or("wanted a number of bytes, or a share such as 60%")
    }
}

/// What is tried.
#[derive(clap::Args)]
#[command(next_help_heading = "Search")]
struct SearchArgs {
    /// Least numbers of heads in a neighbourhood to try. Heads that are noise above 1 are left out or
    /// joined to the nearest cluster; both are tried.
    #[arg(long, value_name = "N[,N..]", value_delimiter = ',', default_value = "1,2")]
    min_points: Vec<usize>,
    /// Chooses one eps for all layers, instead of one for each.
    #[arg(long)]
    one_eps: bool,
    /// Leaves every layer its own feed-forward network. Measuring how well they stand for each other
    /// takes most of the time.
    #[arg(long)]
    heads_only: bool,
    /// Ridge of the fits, as for `condense`.
    #[arg(long, value_name = "RIDGE", default_value_t = RefitParams::default().ridge,
        allow_negative_numbers = true)]
    ridge: f64,
}

/// How firmly clusters stand on the images.
#[derive(clap::Args)]
#[command(next_help_heading = "Stability of clusters")]
struct BootstrapArgs {
    /// How many times the images are drawn anew, with replacement; 0 for not at all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    bootstrap: usize,
    /// Seed of the draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// What was chosen, for a program.
#[derive(Serialize)]
struct Tuned<'a> {
    #[serde(flatten)]
    written: Written,
    svg: Option<PathBuf>,
    /// As `condense` takes them.
    flags: String,
    #[serde(skip)]
    curve: &'a TuneCurve,
    chosen: &'a TunePoint,
    chosen_file_bytes: u64,
    default: Option<&'a TunePoint>,
    stability: Option<&'a [Vec<ClusterStability>]>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let Args { search, wanted, .. } = &args;
    let budget = match (wanted.max_size, wanted.max_error) {
        (Some(MaxSize(budget)), _) => budget,
        (None, error) => Budget::MaxError(error.unwrap_or_default()),
    };
    let params = TuneParams {
        budget,
        min_points: search.min_points.clone(),
        one_eps: search.one_eps,
        ffn: !search.heads_only,
        ridge: search.ridge,
    };
    let params = params.check()?;
    args.out.prepare(args.checkpoint.checkpoint.file().as_slice())?;
    if let Some(svg) = &args.svg {
        ensure!(*svg != args.out.out, "--out and --svg are both {}", svg.display());
        files::prepare(svg, args.checkpoint.checkpoint.file().as_slice())?;
    }
    let ancestor = args.checkpoint.read(args.probe.preprocess.image_size, None)?;
    let images = args.probe.open(&ancestor)?;
    let BootstrapArgs { bootstrap, seed } = args.bootstrap;
    ensure!(
        bootstrap == 0 || images.len() > 1,
        "drawing images anew needs at least 2 of them, got 1: give more, or --bootstrap 0"
    );
    let (distances, each_image) = args.probe.measure_each_image(&ancestor, &images)?;
    let bar = progress::bar(images.len() as u64, "images").with_message("measuring");
    let batches = || images.batches(&bar);
    let mut curve = tune(&ancestor, &distances, batches, &params, &images.device)?;
    bar.finish_and_clear();
    if bootstrap > 0 {
        let setting = &curve.chosen.setting;
        curve.stability = Some(stability(&each_image, &distances, setting, bootstrap, seed)?);
    }
    let drawn = args.svg.as_ref().map(|_| svg::draw(&curve)).transpose()?;
    curve.write(&args.out.out)?;
    if let (Some(path), Some(drawn)) = (&args.svg, drawn) {
        files::write_whole(path, drawn.as_bytes())?;
    }

    let json = args.out.json;
    let tuned = Tuned {
        written: args.out.written()?,
        svg: args.svg,
        flags: flags(&curve.chosen.setting, curve.ridge),
        curve: &curve,
        chosen: &curve.chosen,
        chosen_file_bytes: curve.chosen_file_bytes,
        default: curve.default.as_ref(),
        stability: curve.stability.as_ref().map(|stability| stability.layers.as_slice()),
    };
    super::print(json, &tuned, describe)
}

/// A setting as `condense` takes it.
fn flags(setting: &TuneSetting, ridge: f64) -> String {
    let TuneSetting { eps, min_points, noise, ffn_eps } = setting;
    let mut flags = format!("--eps {}", list(eps).replace(", ", ","));
    if *min_points != 1 {
        let noise = match noise {
            NoisePolicy::Singleton => "singleton",
            NoisePolicy::Nearest => "nearest",
            NoisePolicy::Drop => "drop",
        };
        flags += &format!(" --min-points {min_points} --noise {noise}");
    }
    if let Some(eps) = ffn_eps {
        flags += &format!(" --ffn-eps {eps}");
    }
    flags += " --refit ancestor";
    if ridge.to_bits() != RefitParams::default().ridge.to_bits() {
        flags += &format!(" --ridge {ridge}");
    }
    flags
}

fn describe(tuned: &Tuned<'_>) -> String {
    let curve = tuned.curve;
    let mut lines = vec![format!(
        "{}: chosen {}, a file of at most {}",
        tuned.written.file.display(),
        words(&curve.chosen, curve),
        bytes(curve.chosen_file_bytes)
    )];
    if let Some(default) = &curve.default {
        let eps = list(&default.setting.eps);
        lines.push(format!("for comparison --eps {eps}: {}", words(default, curve)));
    }
    lines.push(format!("flags of condense: {}", tuned.flags));
    for (layer, heads) in curve.chosen.heads.iter().enumerate() {
        let (of, error) = (curve.num_heads[layer], curve.chosen.attention_error[layer]);
        let mut line = format!("layer {layer}: {} of {of} heads, error {error:.4}", heads.len());
        if let Some(stability) = &curve.stability {
            let clusters = stability.layers[layer].iter().map(firmness).collect::<Vec<_>>();
            line += &format!("; clusters {}", clusters.join(", "));
        }
        lines.push(line);
    }
    let shared = curve.chosen.ffn_groups.iter().filter(|layers| layers.len() > 1);
    for layers in shared {
        let error = curve.chosen.ffn_error[layers[0]];
        lines.push(format!("layers {} share a network, error {error:.4}", list(layers)));
    }
    if let Some(stability) = &curve.stability {
        let images = count(stability.resamples, "draw", "draws");
        lines.push(format!(
            "(behind each cluster: the share of {images} of {} images in which it came out again, \
             and its mean Jaccard index)",
            curve.images
        ));
    }
    lines.join("\n")
}

/// `41 of 72 heads, 12 of 12 networks, 33.1 MiB (77 %), error 0.0123`
fn words(point: &TunePoint, curve: &TuneCurve) -> String {
    let (heads, networks, layers) =
        (curve.num_heads.iter().sum::<usize>(), point.ffn_groups.len(), curve.num_heads.len());
    let share = 100.0 * point.bytes as f64 / curve.ancestor_bytes as f64;
    format!(
        "{} of {heads} heads and {networks} of {layers} networks, {} ({share:.1} %), error {:.5}",
        point.kept_heads(),
        bytes(point.bytes),
        point.error
    )
}

/// `0 2 5 (98 %, .99)`
fn firmness(cluster: &ClusterStability) -> String {
    let ClusterStability { heads, recurrence, jaccard } = cluster;
    let heads = list(heads).replace(',', "");
    format!("{heads} ({:.0} %, {jaccard:.2})", 100.0 * recurrence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_bytes_or_a_share() {
        let size = |text: &str| text.parse().map(|MaxSize(budget)| budget);
        assert_eq!(size("2400000"), Ok(Budget::MaxBytes(2_400_000)));
        assert_eq!(size("62.5%"), Ok(Budget::MaxShare(62.5)));
        for text in ["", "%", "-3", "1.5", "12MB", "half", "5%%"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn settings_are_flags_of_condense() {
        let mut setting = TuneSetting {
            eps: vec![10.0],
            min_points: 1,
            noise: NoisePolicy::Singleton,
            ffn_eps: None,
        };
        assert_eq!(flags(&setting, 1e-2), "--eps 10 --refit ancestor");
        setting.eps = vec![0.25, 8.0];
        setting.min_points = 2;
        setting.noise = NoisePolicy::Drop;
        setting.ffn_eps = Some(1.5);
        assert_eq!(
            flags(&setting, 0.5),
            "--eps 0.25,8 --min-points 2 --noise drop --ffn-eps 1.5 --refit ancestor --ridge 0.5"
        );
    }
}
