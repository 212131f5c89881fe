//! `learngene bench scaling`: how time grows with the work.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use learngene_shape::Shape;
use serde::Serialize;

use super::{
    measure::times,
    preset::{Preset, small},
    workload::Workload,
};
use crate::{
    args::{DeviceArgs, at_least_one},
    device::DeviceChoice,
    progress,
};

/// Times probes over images and model sizes, and training steps over batches and tokens.
///
/// Each study is fitted by a line, time = a + b x, that over tokens, of which attention compares
/// every two, by a + b x + c x^2: by least squares of relative errors. One line of JSON for each
/// study; `cargo xtask bench --scaling` draws them.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene bench scaling --studies train_step_over_tokens")]
pub struct Args {
    /// What is varied.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["probe_over_images", "probe_over_model_size", "train_step_over_batch", "train_step_over_tokens"])]
    studies: Vec<Study>,
    /// Times that each is repeated.
    #[arg(long, value_name = "N", default_value = "5", value_parser = at_least_one)]
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
    framework: &'static str,
    device: DeviceChoice,
    threads: usize,
    study: Study,
    /// What is varied, in words.
    x: &'static str,
    points: Vec<Point>,
    fit: Polynomial,
}

#[derive(Clone, Copy, Serialize)]
struct Point {
    x: f64,
    /// Milliseconds, median over the iterations.
    ms: f64,
}

/// `ms = coefficients[0] + coefficients[1] * x + ..`
#[derive(Debug, Serialize)]
struct Polynomial {
    coefficients: Vec<f64>,
    /// The same as people write it: `25.1 + 14.7 x`.
    formula: String,
    /// The greatest share by which a time differs from the fit.
    worst_error: f64,
}

/// One measurement: where it lies, and what is timed.
struct Case {
    x: f64,
    workload: Workload,
    shape: Shape,
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

    fn degree(self) -> usize {
        match self {
            Self::TrainStepOverTokens => 2,
            _ => 1,
        }
    }

    fn cases(self) -> Vec<Case> {
        let micro = Preset::Micro.shape();
        let case = |x: f64, workload, shape, batch| Case { x, workload, shape, batch, batches: 1 };
        match self {
            Self::ProbeOverImages => [1, 2, 4, 8]
                .map(|batches| Case {
                    batches,
                    ..case(16.0 * batches as f64, Workload::Probe, micro.clone(), 16)
                })
                .into(),
            Self::ProbeOverModelSize => [(48, 3), (96, 6), (192, 3), (288, 6), (384, 6)]
                .map(|(embed_dim, num_heads)| {
                    let shape = small(embed_dim, num_heads);
                    case(shape.count_macs() as f64, Workload::Probe, shape, 16)
                })
                .into(),
            Self::TrainStepOverBatch => [4, 8, 16, 32, 64]
                .map(|batch| case(batch as f64, Workload::TrainStep, micro.clone(), batch))
                .into(),
            Self::TrainStepOverTokens => [16, 24, 32, 48, 64]
                .map(|image_size| {
                    let shape = micro.with_image_size(image_size).expect("whole patches");
                    let tokens = shape.layer(0).field.tokens();
                    case(tokens as f64, Workload::TrainStep, shape, 8)
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
        for Case { x, workload, shape, batch, batches } in study.cases() {
            let mut work = workload.prepare(&shape, batch, &device)?.work;
            let all = || (0..batches).try_for_each(|_| work());
            points.push(Point { x, ms: times(args.iterations, all)?.median });
            bar.inc(1);
        }
        let fit = Polynomial::of(&points, study.degree());
        let scaling = Scaling {
            framework: crate::PRODUCER,
            device: choice.clone(),
            threads: rayon::current_num_threads(),
            study,
            x: study.x(),
            points,
            fit,
        };
        let line = if args.json { serde_json::to_string(&scaling)? } else { scaling.text() };
        bar.suspend(|| super::super::say(line))?;
    }
    bar.finish_and_clear();
    Ok(())
}

impl Scaling {
    fn text(&self) -> String {
        let Polynomial { formula, worst_error, .. } = &self.fit;
        let points = self.points.iter().map(|Point { x, ms }| format!("{x:>12} {ms:9.1} ms"));
        format!(
            "{} on {}: {formula} ms, x {}, at most {:.1} % off\n{}",
            super::name(self.study),
            self.device,
            self.x,
            100.0 * worst_error,
            points.collect::<Vec<_>>().join("\n")
        )
    }
}

/// `25.1 + 14.7 x - 9.22e-4 x^2`
fn formula(coefficients: &[f64]) -> String {
    let mut text = String::new();
    for (power, coefficient) in coefficients.iter().enumerate() {
        let size = match coefficient.abs() {
            size @ 0.01..1e5 => format!("{size:.*}", if size < 10.0 { 2 } else { 1 }),
            size => format!("{size:.2e}"),
        };
        let sign = match (power, coefficient.is_sign_negative()) {
            (0, false) => "",
            (0, true) => "-",
            (_, false) => " + ",
            (_, true) => " - ",
        };
        let x = match power {
            0 => String::new(),
            1 => " x".to_owned(),
            _ => format!(" x^{power}"),
        };
        text += &format!("{sign}{size}{x}");
    }
    text
}

impl Polynomial {
    /// Least squares of the errors in relation to the times, so that short times count as long ones.
    fn of(points: &[Point], degree: usize) -> Self {
        // Powers of numbers up to 1 stay comparable.
        let largest = points.iter().map(|point| point.x).fold(f64::MIN_POSITIVE, f64::max);
        let powers = |x: f64| (0..=degree).map(move |power| (x / largest).powi(power as i32));
        let mut equations = vec![vec![0.0; degree + 2]; degree + 1];
        for Point { x, ms } in points {
            let row: Vec<f64> = powers(*x).map(|power| power / ms).collect();
            for (equation, factor) in equations.iter_mut().zip(&row) {
                for (sum, term) in equation.iter_mut().zip(row.iter().chain(&[1.0])) {
                    *sum += factor * term;
                }
            }
        }
        let scaled = solve(equations);
        let fitted = |x: f64| powers(x).zip(&scaled).map(|(power, c)| power * c).sum::<f64>();
        let errors = points.iter().map(|Point { x, ms }| (fitted(*x) / ms - 1.0).abs());
        let worst_error = errors.fold(0.0, f64::max);
        let unscaled = scaled.iter().enumerate();
        let coefficients: Vec<f64> =
            unscaled.map(|(power, c)| c / largest.powi(power as i32)).collect();
        Self { formula: formula(&coefficients), coefficients, worst_error }
    }
}

/// Solves linear equations, each `[factors.., right side]`, by elimination; the normal equations of
/// least squares are positive definite and need no pivots.
fn solve(mut equations: Vec<Vec<f64>>) -> Vec<f64> {
    let count = equations.len();
    for pivot in 0..count {
        let row = equations[pivot].clone();
        for equation in equations.iter_mut().skip(pivot + 1) {
            let factor = equation[pivot] / row[pivot];
            equation.iter_mut().zip(&row).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut solution = vec![0.0; count];
    for (i, equation) in equations.iter().enumerate().rev() {
        let known: f64 = (i + 1..count).map(|j| equation[j] * solution[j]).sum();
        solution[i] = (equation[count] - known) / equation[i];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(coefficients: &[f64]) {
        let ms = |x: f64| {
            coefficients.iter().enumerate().map(|(power, c)| c * x.powi(power as i32)).sum()
        };
        let points = [1e3, 2e3, 4e3, 1e4].map(|x: f64| Point { x, ms: ms(x) });
        let fit = Polynomial::of(&points, coefficients.len() - 1);
        for (found, wanted) in fit.coefficients.iter().zip(coefficients) {
            assert!((found / wanted - 1.0).abs() < 1e-6, "{fit:?}, wanted {coefficients:?}");
        }
        assert!(fit.worst_error < 1e-9, "{fit:?}");
    }

    #[test]
    fn a_formula_reads_like_one() {
        assert_eq!(formula(&[25.11, 14.67]), "25.1 + 14.7 x");
        assert_eq!(formula(&[-0.739, 2.729, -9.216e-4]), "-0.74 + 2.73 x - 9.22e-4 x^2");
    }

    #[test]
    fn a_line_is_found() {
        check(&[20.0, 3e-3]);
    }

    #[test]
    fn a_parabola_is_found() {
        check(&[20.0, 3e-3, 5e-6]);
    }

    #[test]
    fn the_worst_error_is_a_share() {
        let points = [(1.0, 1.0), (2.0, 1.0), (3.0, 1.1)].map(|(x, ms)| Point { x, ms });
        let fit = Polynomial::of(&points, 0);
        assert!((0.03..0.1).contains(&fit.worst_error), "{fit:?}");
    }
}
