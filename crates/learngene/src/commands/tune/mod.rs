//! `learngene tune`

mod svg;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::ensure;
use learngene_condensing::{
    Budget, ClusterStability, RefitParams, TuneCurve, TuneParams, TunePoint, TuneSetting,
    stability, tune,
};
use learngene_format::NoisePolicy;
use serde::Serialize;

use crate::{
    again::Again,
    ancestry::ProbeArgs,
    args::{CheckpointArgs, OutArgs, Written, at_least_one, number, whole_number},
    files,
    kind::Kind,
    progress,
    text::{bytes, count, list, short},
};

/// Chooses eps, min-points and the radius that joins FFNs for a given size or error, and draws what
/// every size costs.
///
/// All clusters that differ are tried, with an eps for each layer, and scored by the error that
/// `condense --refit ancestor` leaves of the ancestor's outputs on the images: the squared difference
/// relative to the variance, averaged over the attention and FFN outputs of all layers. The
/// command that condenses by the setting chosen is printed, and how often each of its clusters comes
/// out again when the images are drawn anew.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene tune --checkpoint deit_base.pth --images photos/ --max-size 60% \
    --out curve.json --svg curve.svg\n  \
    learngene tune --checkpoint deit_base.pth --images photos/ --max-error 0.02 --out curve.json",
    mut_arg("out", |out| out.value_parser(Kind::Curve.name()))
)]
#[command(group = clap::ArgGroup::new("budget").required(true).args(["max_size", "max_error"]))]
pub struct Args {
    #[command(flatten)]
    checkpoint: Again<CheckpointArgs>,
    #[command(flatten)]
    probe: Again<ProbeArgs>,
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    bootstrap: BootstrapArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Draws the curve of size against error too.
    #[arg(long, value_name = "FILE", value_parser = Kind::Drawing.name(), help_heading = "Output")]
    svg: Option<PathBuf>,
}

/// What the learngene may cost.
#[derive(clap::Args)]
#[command(next_help_heading = "Wanted")]
struct WantedArgs {
    /// How large the learngene's file may be, in bytes or as a share of the bytes of the ancestor's
    /// parameters; the setting of the smallest error is sought.
    #[arg(long, value_name = "BYTES|SHARE%", allow_hyphen_values = true)]
    max_size: Option<MaxSize>,
    /// How large the error may be, as a part of the variance; the setting of the smallest file is sought.
    #[arg(long, value_name = "ERROR", value_parser = number::<f64>)]
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
    #[arg(long, value_name = "N[,N..]", value_delimiter = ',', default_value = "1,2",
        value_parser = at_least_one, allow_hyphen_values = true)]
    min_points: Vec<NonZeroUsize>,
    /// Chooses one eps for all layers, instead of one for each.
    #[arg(long)]
    one_eps: bool,
    /// Leaves every layer its own FFN. Measuring how well FFNs stand for each other takes most of the
    /// time.
    #[arg(long)]
    heads_only: bool,
    /// Ridge of the fits, as for `condense`.
    #[arg(long, value_name = "RIDGE", default_value_t = RefitParams::default().ridge,
        value_parser = number::<f64>)]
    ridge: f64,
}

/// How firmly clusters stand on the images.
#[derive(clap::Args)]
#[command(next_help_heading = "Stability of clusters")]
struct BootstrapArgs {
    /// How many times the images are drawn anew, with replacement; 0 for not at all.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = whole_number::<usize>)]
    bootstrap: usize,
    /// Seed of the draws.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number::<u64>)]
    seed: u64,
}

/// What was chosen, for a program.
#[derive(Serialize)]
struct Tuned<'a> {
    #[serde(flatten)]
    written: Written,
    svg: Option<PathBuf>,
    /// What makes the learngene.
    command: String,
    #[serde(skip)]
    curve: &'a TuneCurve,
    chosen: &'a TunePoint,
    chosen_file_bytes: u64,
    default: &'a TunePoint,
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
        min_points: search.min_points.iter().map(|points| points.get()).collect(),
        one_eps: search.one_eps,
        ffn: !search.heads_only,
        ridge: search.ridge,
    };
    let params = params.check()?;
    let (checkpoint, probe) = (&args.checkpoint.args, &args.probe.args);
    args.out.prepare(Kind::Curve, checkpoint.checkpoint.file().as_slice())?;
    if let Some(svg) = &args.svg {
        ensure!(*svg != args.out.out, "--out and --svg are both {}", svg.display());
        Kind::Drawing.prepare(svg, checkpoint.checkpoint.file().as_slice())?;
    }
    let ancestor = checkpoint.read(probe.preprocess.image_size, None)?;
    let images = probe.open(&ancestor, &checkpoint.checkpoint)?;
    let BootstrapArgs { bootstrap, seed } = args.bootstrap;
    ensure!(
        bootstrap == 0 || images.len() > 1,
        "drawing images anew needs at least 2 of them, got 1: give more, or --bootstrap 0"
    );
    let (distances, each_image) = probe.measure_each_image(&ancestor, &images)?;
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
    // Beside the curve; no file is both.
    let learngene = match args.out.out.with_extension("learngene") {
        same if same == args.out.out => same.with_extension("learngene.learngene"),
        other => other,
    };
    let given = [args.checkpoint.words, args.probe.words].concat();
    let tuned = Tuned {
        written: args.out.written()?,
        svg: args.svg,
        command: command(given, &curve.chosen.setting, curve.ridge, &learngene)?,
        curve: &curve,
        chosen: &curve.chosen,
        chosen_file_bytes: curve.chosen_file_bytes,
        default: &curve.default,
        stability: curve.stability.as_ref().map(|stability| stability.layers.as_slice()),
    };
    super::print(json, &tuned, describe)
}

/// The command, for a shell, that condenses by a setting what checkpoint and images are given.
fn command(
    given: Vec<String>,
    setting: &TuneSetting,
    ridge: f64,
    out: &Path,
) -> anyhow::Result<String> {
    let words = ["learngene", "condense"].map(str::to_owned).into_iter().chain(given);
    let out = ["--out".to_owned(), out.display().to_string()];
    let words: Vec<String> = words.chain(flags(setting, ridge)).chain(out).collect();
    Ok(shlex::try_join(words.iter().map(String::as_str))?)
}

/// A setting as `condense` takes it.
fn flags(setting: &TuneSetting, ridge: f64) -> Vec<String> {
    let TuneSetting { eps, min_points, noise, ffn_eps } = setting;
    let mut flags = vec![["--eps".to_owned(), list(eps).replace(", ", ",")]];
    if *min_points != 1 {
        let noise = match noise {
            NoisePolicy::Singleton => "singleton",
            NoisePolicy::Nearest => "nearest",
            NoisePolicy::Drop => "drop",
        };
        flags.push(["--min-points".to_owned(), min_points.to_string()]);
        flags.push(["--noise".to_owned(), noise.to_owned()]);
    }
    if let Some(eps) = ffn_eps {
        flags.push(["--ffn".to_owned(), eps.to_string()]);
    }
    flags.push(["--refit", "ancestor"].map(str::to_owned));
    if ridge.to_bits() != RefitParams::default().ridge.to_bits() {
        flags.push(["--ridge".to_owned(), ridge.to_string()]);
    }
    flags.concat()
}

fn describe(tuned: &Tuned<'_>) -> String {
    let curve = tuned.curve;
    let mut lines = vec![format!(
        "{}: chosen {}; the learngene will be a file of {} or a little less",
        tuned.written.file.display(),
        words(&curve.chosen, curve),
        bytes(curve.chosen_file_bytes)
    )];
    let eps = shorts(&curve.default.setting.eps);
    lines.push(format!("for comparison the default eps, {eps}: {}", words(&curve.default, curve)));
    lines.push(format!("to make it: {}", tuned.command));
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
        let (first, last) = (layers[0], layers[layers.len() - 1]);
        let errors = &curve.chosen.ffn_error[first..=last];
        let errors: Vec<_> = errors.iter().map(|error| format!("{error:.4}")).collect();
        lines.push(format!("layers {first}-{last} share an FFN, errors {}", list(&errors)));
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

/// `1.429, 2.857`
fn shorts(numbers: &[f64]) -> String {
    list(&numbers.iter().copied().map(short).collect::<Vec<_>>())
}

/// `41 of 72 heads and 12 of 12 FFNs, 33.1 MiB (77 %), error 0.0123`
fn words(point: &TunePoint, curve: &TuneCurve) -> String {
    let (heads, ffns, layers) =
        (curve.num_heads.iter().sum::<usize>(), point.ffn_groups.len(), curve.num_heads.len());
    let share = 100.0 * point.bytes as f64 / curve.ancestor_bytes as f64;
    format!(
        "{} of {heads} heads and {ffns} of {layers} FFNs, {} ({share:.1} %), error {:.5}",
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
        assert_eq!(flags(&setting, 1e-2).join(" "), "--eps 10 --refit ancestor");
        setting.eps = vec![0.25, 8.0];
        setting.min_points = 2;
        setting.noise = NoisePolicy::Drop;
        setting.ffn_eps = Some(1.5);
        assert_eq!(
            flags(&setting, 0.5).join(" "),
            "--eps 0.25,8 --min-points 2 --noise drop --ffn 1.5 --refit ancestor --ridge 0.5"
        );
        let given = ["--checkpoint", "my model.pth"].map(str::to_owned).to_vec();
        setting = TuneSetting { eps: vec![10.0], min_points: 1, ffn_eps: None, ..setting };
        assert_eq!(
            command(given, &setting, 1e-2, Path::new("x.learngene")).expect("words for a shell"),
            "learngene condense --checkpoint 'my model.pth' --eps 10 --refit ancestor \
             --out x.learngene"
        );
    }
}
