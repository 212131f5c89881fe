//! `learngene bench scaling`: how time grows with the work.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use learngene_models::{VitConfig, count_macs};
use serde::Serialize;

use super::{
    measure::times,
    shape::{Shape, small},
    workload::Workload,
};
use crate::{args::DeviceArgs, device::DeviceChoice, progress};

/// Times probes over images and model sizes, and training steps over batches and tokens.
///
/// Each study is fitted by a power law, time = a * x^b, by least squares of the logarithms. One
/// line of JSON for each study; `cargo xtask bench --scaling` draws them.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene bench scaling --studies train_step_over_tokens")]
pub struct Args {
    /// What is varied.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["probe_over_images", "probe_over_model_size", "train_step_over_batch", "train_step_over_tokens"])]
    studies: Vec<Study>,
    /// Times that each is repeated.
    #[arg(long, value_name = "N", default_value = "5")]
    iterations: NonZeroUsize,
    #[command(flatten)]
    device: DeviceArgs,
    /// Prints one line of JSON for each study.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum Study {
    /// A probe of micro over images, in batches of 16.
    ProbeOverImages,
    /// A probe of 16 images over the multiply-accumulates of a model's image.
    ProbeOverModelSize,
    /// A training step of micro over the images of its batch.
    TrainStepOverBatch,
    /// A training step of micro, of 8 images, over the tokens of an image.
    TrainStepOverTokens,
}

/// A study as it is drawn.
#[derive(Serialize)]
struct Scaling {
    study: Study,
    device: DeviceChoice,
    /// What is varied, in words.
    x: &'static str,
    points: Vec<Point>,
    fit: PowerLaw,
}

#[derive(Clone, Copy, Serialize)]
struct Point {
    x: f64,
    /// Milliseconds, median over the iterations.
    ms: f64,
}

/// `ms = factor * x^exponent`
#[derive(Debug, Serialize)]
struct PowerLaw {
    factor: f64,
    exponent: f64,
    /// Share of the variance of the logarithms that the law explains.
    r_squared: f64,
}

/// One measurement: where it lies, and what is timed.
struct Case {
    x: f64,
    workload: Workload,
    config: VitConfig,
    batch: usize,
    /// Batches of one iteration.
    batches: usize,
}

impl Study {
    fn x(self) -> &'static str {
        match self {
            Self::ProbeOverImages => "images",
            Self::ProbeOverModelSize => "multiply-accumulates of an image",
            Self::TrainStepOverBatch => "images of a batch",
            Self::TrainStepOverTokens => "tokens of an image",
        }
    }

    fn cases(self) -> Vec<Case> {
        let micro = Shape::Micro.config();
        let case =
            |x: f64, workload, config, batch| Case { x, workload, config, batch, batches: 1 };
        match self {
            Self::ProbeOverImages => [1, 2, 4, 8]
                .map(|batches| Case {
                    batches,
                    ..case(16.0 * batches as f64, Workload::Probe, micro.clone(), 16)
                })
                .into(),
            Self::ProbeOverModelSize => [(48, 3), (96, 6), (192, 3), (288, 6), (384, 6)]
                .map(|(embed_dim, num_heads)| {
                    let config = small(embed_dim, num_heads);
                    case(count_macs(&config) as f64, Workload::Probe, config, 16)
                })
                .into(),
            Self::TrainStepOverBatch => [4, 8, 16, 32, 64]
                .map(|batch| case(batch as f64, Workload::TrainStep, micro.clone(), batch))
                .into(),
            Self::TrainStepOverTokens => [16, 24, 32, 48, 64]
                .map(|image_size| {
                    let config = micro.clone().with_image_size(image_size);
                    case((1 + config.num_patches()) as f64, Workload::TrainStep, config, 8)
                })
                .into(),
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let choice = args.device.device;
    let device = choice.open()?;
    let cases: usize = args.studies.iter().map(|study| study.cases().len()).sum();
    let bar = progress::bar(cases as u64, "sizes").with_message("timing");
    for study in args.studies {
        let mut points = Vec::new();
        for Case { x, workload, config, batch, batches } in study.cases() {
            let mut work = workload.prepare(&config, batch, &device)?.work;
            let all = || (0..batches).try_for_each(|_| work());
            points.push(Point { x, ms: times(args.iterations, all)?.median });
            bar.inc(1);
        }
        let fit = PowerLaw::of(&points);
        let scaling = Scaling { study, device: choice, x: study.x(), points, fit };
        let line = if args.json { serde_json::to_string(&scaling)? } else { scaling.text() };
        bar.suspend(|| super::super::say(line))?;
    }
    bar.finish_and_clear();
    Ok(())
}

impl Scaling {
    fn text(&self) -> String {
        let PowerLaw { factor, exponent, r_squared } = self.fit;
        let points = self.points.iter().map(|Point { x, ms }| format!("{x:>12} {ms:9.1} ms\n"));
        format!(
            "{} on {}: {factor:.3e} ms * ({})^{exponent:.2}, R^2 {r_squared:.4}\n{}",
            super::name(self.study),
            self.device,
            self.x,
            points.collect::<String>()
        )
    }
}

impl PowerLaw {
    /// Least squares of `log ms` over `log x`.
    fn of(points: &[Point]) -> Self {
        let logarithms: Vec<(f64, f64)> = points.iter().map(|p| (p.x.ln(), p.ms.ln())).collect();
        let mean = |values: &dyn Fn(&(f64, f64)) -> f64| {
            logarithms.iter().map(values).sum::<f64>() / logarithms.len() as f64
        };
        let (mean_x, mean_y) = (mean(&|p| p.0), mean(&|p| p.1));
        let covariance = mean(&|p| (p.0 - mean_x) * (p.1 - mean_y));
        let (variance_x, variance_y) =
            (mean(&|p| (p.0 - mean_x).powi(2)), mean(&|p| (p.1 - mean_y).powi(2)));
        let exponent = covariance / variance_x;
        Self {
            factor: (mean_y - exponent * mean_x).exp(),
            exponent,
            r_squared: covariance * covariance / (variance_x * variance_y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_is_found() {
        let points = [1.0, 2.0, 4.0, 10.0].map(|x: f64| Point { x, ms: 3.0 * x.powf(1.5) });
        let fit = PowerLaw::of(&points);
        assert!((fit.factor - 3.0).abs() < 1e-9, "{fit:?}");
        assert!((fit.exponent - 1.5).abs() < 1e-9, "{fit:?}");
        assert!((fit.r_squared - 1.0).abs() < 1e-9, "{fit:?}");
    }
}
