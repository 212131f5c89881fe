//! How large a model may be.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use learngene_budget::{Choice, choose, evenly, front};
use learngene_format::Curves;
use learngene_models::{Latency, Model, time};
use learngene_shape::Shape;

use crate::{
    args::{count_with_unit, duration},
    device::DeviceChoice,
    progress,
    text::{milliseconds, thousands},
};

/// Times that a smaller model is taken because the chosen one took longer than predicted.
const TRIES: usize = 3;

/// Models whose times say how long so much work takes.
const CALIBRATED: usize = 8;

/// The most that a model may cost.
#[derive(Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Budget")]
pub struct BudgetArgs {
    /// The largest number of parameters.
    #[arg(long, value_name = "COUNT", value_parser = count_with_unit)]
    max_params: Option<u64>,
    /// The largest number of multiply-accumulates of one image.
    #[arg(long, value_name = "COUNT", value_parser = count_with_unit)]
    max_macs: Option<u64>,
    /// The longest that one image may take on --device, measured there: 10ms, 800us.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_latency: Option<Duration>,
}

impl BudgetArgs {
    /// The flag that is given.
    pub fn flag(&self) -> Option<&'static str> {
        match self {
            Self { max_params: Some(_), .. } => Some("--max-params"),
            Self { max_macs: Some(_), .. } => Some("--max-macs"),
            Self { max_latency: Some(_), .. } => Some("--max-latency"),
            _ => None,
        }
    }

    /// The budget in words, `--max-params 5,000,000`, where there is one.
    pub fn text(&self) -> Option<String> {
        let limit = match self.max_latency {
            Some(limit) => milliseconds(limit),
            None => thousands(self.max_params.or(self.max_macs)?),
        };
        Some(format!("{} {limit}", self.flag()?))
    }

    /// The model of at most this shape that loses least within the budget, where there is one.
    pub fn choose(
        &self,
        shape: &Shape,
        curves: &Curves,
        device: &DeviceChoice,
    ) -> anyhow::Result<Option<Choice>> {
        let chosen = match (self.max_params, self.max_macs, self.max_latency) {
            (Some(limit), ..) => within(shape, curves, limit, &Shape::count_parameters, thousands),
            (_, Some(limit), _) => within(shape, curves, limit, &Shape::count_macs, thousands),
            (.., Some(limit)) => fast(shape, curves, limit, device),
            _ => return Ok(None),
        };
        let flag = self.flag().expect("a limit is given by a flag");
        let choice = chosen.with_context(|| format!("{flag} cannot be met"))?;
        tracing::info!("feature error of this size, by the curves: {:.3}", choice.error);
        Ok(Some(choice))
    }
}

fn within(
    shape: &Shape,
    curves: &Curves,
    limit: u64,
    cost: &dyn Fn(&Shape) -> u64,
    text: impl Fn(u64) -> String,
) -> anyhow::Result<Choice> {
    let smallest = front(shape, curves, cost)?[0].cost;
    if limit < smallest {
        bail!("the smallest model needs {}, found {}", text(smallest), text(limit));
    }
    Ok(choose(shape, curves, limit, cost)?)
}

/// The model that loses least and is predicted to be fast enough, and is.
fn fast(
    shape: &Shape,
    curves: &Curves,
    limit: Duration,
    choice: &DeviceChoice,
) -> anyhow::Result<Choice> {
    let device = choice.open()?;
    let latency = measured(shape, curves, choice)?;
    let work = |shape: &Shape| latency.work(shape);
    let text = |work| milliseconds(latency.time_of(work));
    let mut aim = limit;
    for _ in 0..TRIES {
        let chosen = within(shape, curves, latency.work_within(aim), &work, text)?;
        let of_choice = chosen.shape(shape)?;
        let (predicted, found) =
            (latency.predict(&of_choice), time(&Model::init(&of_choice, &device))?);
        tracing::info!(
            "one image takes {} on {choice}, {} predicted; quartiles {:.0} % apart",
            milliseconds(found.median),
            milliseconds(predicted),
            100.0 * found.noise
        );
        if found.median <= limit {
            return Ok(chosen);
        }
        aim = aim.mul_f64(limit.as_secs_f64() / found.median.as_secs_f64());
    }
    bail!("models of the predicted size took longer; try again while nothing else runs on {choice}")
}

/// What models take on a device that lose least for their time.
pub fn measured(shape: &Shape, curves: &Curves, choice: &DeviceChoice) -> anyhow::Result<Latency> {
    let device = choice.open()?;
    let bar = progress::bar(0, "models").with_message("timing");
    let latency = Latency::measure(shape, &device, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    let choices = front(shape, curves, &|shape| latency.work(shape))?;
    let chosen = evenly(&choices, CALIBRATED).into_iter();
    let shapes = chosen.map(|choice| choice.shape(shape)).collect::<Result<Vec<Shape>, _>>()?;
    let latency = latency.calibrate(&shapes, &device)?;
    bar.finish_and_clear();
    let whole = latency.whole();
    tracing::info!(
        "one image takes the largest model {} on {choice}; quartiles {:.0} % apart",
        milliseconds(whole.median),
        100.0 * whole.noise
    );
    Ok(latency)
}
