//! `learngene sizes`

use std::path::PathBuf;

use anyhow::Context;
use learngene_budget::{Choice, evenly, front};
use learngene_format::{Curves, Learngene};
use learngene_models::Latency;
use learngene_shape::Shape;
use serde::{Deserialize, Serialize};

use crate::{
    budget_args::measured,
    device::DeviceChoice,
    text::{layer_list, thousands},
};

/// Lists the sizes of descendants that lose least, from the smallest to what the learngene holds.
///
/// Each row can be had with `learngene expand --num-classes 0 --max-params` and its number of parameters. The error is
/// an estimate: the part of the ancestor's last features that is lost, right after the expansion.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene sizes deit_base.learngene\n  learngene sizes deit_base.learngene --device flex"
)]
pub struct Args {
    /// A learngene that was condensed by size, not by clusters.
    learngene: PathBuf,
    /// Device to predict times on, of one image, by timing layers of several widths there.
    #[arg(long)]
    device: Option<DeviceChoice>,
    /// Rows at most.
    #[arg(long, value_name = "N", default_value = "16", value_parser = crate::args::at_least_one)]
    rows: std::num::NonZeroUsize,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// One size, for a program.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub parameters: u64,
    pub macs: u64,
    /// Of a checkpoint in f32.
    bytes: u64,
    /// Of one image on the device asked for.
    milliseconds: Option<f64>,
    pub error: f64,
    pub heads: Vec<usize>,
    hidden: Vec<usize>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let manifest = Learngene::read_manifest(&args.learngene)?;
    let curves = manifest.curves.as_ref().with_context(|| {
        format!(
            "{}: what smaller models lose was not measured: condense by size, without --paper \
             and clustering flags",
            args.learngene.display()
        )
    })?;
    let shape = match manifest.classifier {
        true => manifest.shape.clone(),
        false => manifest.shape.with_num_classes(0)?,
    };
    let latency =
        args.device.as_ref().map(|device| measured(&shape, curves, device)).transpose()?;
    let rows = rows(&shape, curves, args.rows.get(), latency.as_ref())?;
    super::print(args.json, &rows, |rows| table(rows))
}

/// Sizes at even distances, the smallest and the largest among them.
pub fn rows(
    shape: &Shape,
    curves: &Curves,
    rows: usize,
    latency: Option<&Latency>,
) -> anyhow::Result<Vec<Row>> {
    let choices = front(shape, curves, &Shape::count_parameters)?;
    evenly(&choices, rows).into_iter().map(|choice| row(shape, choice, latency)).collect()
}

pub fn table(rows: &[Row]) -> String {
    let is_timed = rows.iter().any(|row| row.milliseconds.is_some());
    let time = |text: String| if is_timed { format!(" {text:>8}") } else { String::new() };
    let mut text = format!(
        "{:>12} {:>14}{} {:>7} {:>7}  {:<20} {}",
        "parameters",
        "macs",
        time("ms".into()),
        "error",
        "layers",
        "heads",
        "hidden units"
    );
    for row in rows {
        text += &format!(
            "\n{:>12} {:>14}{} {:>7.3} {:>7}  {:<20} {}",
            thousands(row.parameters),
            thousands(row.macs),
            time(row.milliseconds.map_or_else(String::new, |of| format!("{of:.2}"))),
            row.error,
            row.heads.len(),
            layer_list(&row.heads),
            layer_list(&row.hidden),
        );
    }
    text
}

fn row(shape: &Shape, choice: &Choice, latency: Option<&Latency>) -> anyhow::Result<Row> {
    let of_choice = choice.shape(shape)?;
    Ok(Row {
        parameters: choice.cost,
        macs: of_choice.count_macs(),
        bytes: 4 * choice.cost,
        milliseconds: latency.map(|of| 1e3 * of.predict(&of_choice).as_secs_f64()),
        error: choice.error,
        heads: choice.sizes.iter().map(|sizes| sizes.num_heads).collect(),
        hidden: choice.sizes.iter().map(|sizes| sizes.hidden_dim).collect(),
    })
}
