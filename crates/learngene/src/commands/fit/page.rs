//! What a fit came to, as a page.

use anyhow::{Result, anyhow};
use learngene_shape::Shape;
use learngene_training::Metrics;
use minijinja::Environment;
use plotters::prelude::*;
use serde::Serialize;

use crate::{commands::sizes::Row, text::thousands};

/// Classes of which every pair is shown.
const SHOWN: usize = 30;

/// Pairs of classes that are shown by name.
const PAIRS: usize = 10;

const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const SIZE: (u32, u32) = (480, 320);

/// The page: what the size was chosen from, how the model learnt, and which classes it confuses.
#[derive(Serialize)]
pub struct Page {
    title: String,
    sizes: Vec<Size>,
    /// Drawings as SVG.
    front: String,
    losses: String,
    accuracy: String,
    confused: Vec<Confused>,
    /// Of few classes: `[true][predicted]`.
    matrix: Vec<Line>,
}

#[derive(Serialize)]
struct Size {
    parameters: String,
    macs: String,
    layers: usize,
    error: String,
}

/// A class that is taken for another.
#[derive(Serialize)]
struct Confused {
    class: String,
    taken_for: String,
    images: usize,
    of: usize,
}

#[derive(Serialize)]
struct Line {
    class: String,
    cells: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    images: usize,
    /// Of the images of the class, in percent.
    share: usize,
}

impl Page {
    /// The page of a model of that shape, chosen among sizes, with `[true][predicted]` numbers of test
    /// images.
    pub fn new(
        shape: &Shape,
        sizes: &[Row],
        metrics: &[Metrics],
        classes: &[String],
        confusion: &[Vec<usize>],
    ) -> Result<Self> {
        let top1 = metrics.last().map_or(0.0, |line| line.test.top1);
        let parameters = shape.count_parameters();
        let millions = |parameters: u64| parameters as f64 / 1e6;
        let front = sizes.iter().map(|row| (millions(row.parameters), row.error)).collect();
        let at = |value: fn(&Metrics) -> f64| {
            metrics.iter().map(|line| (line.epoch, value(line))).collect::<Vec<_>>()
        };
        let losses =
            [("training", at(|line| line.train_loss)), ("test", at(|line| line.test.loss))];
        let accuracy = [("test", at(|line| line.test.top1))];
        Ok(Self {
            title: format!("{} parameters, top-1 {top1:.1} %", thousands(parameters)),
            front: chart(
                ["millions of parameters", "part of the features lost"],
                &[("sizes to choose from", front)],
                Some(millions(parameters)),
            )?,
            losses: chart(["epochs", "loss"], &losses, None)?,
            accuracy: chart(["epochs", "top-1 in percent"], &accuracy, None)?,
            sizes: sizes
                .iter()
                .map(|row| Size {
                    parameters: thousands(row.parameters),
                    macs: thousands(row.macs),
                    layers: row.heads.len(),
                    error: format!("{:.3}", row.error),
                })
                .collect(),
            confused: confused(classes, confusion),
            matrix: matrix(classes, confusion),
        })
    }
}

impl Page {
    /// The page in HTML.
    pub fn render(&self) -> Result<String> {
        let mut environment = Environment::new();
        environment.add_template("fit.html", include_str!("fit.html"))?;
        Ok(environment.get_template("fit.html")?.render(self)?)
    }
}

/// The pairs that are confused most, the first one most.
fn confused(classes: &[String], confusion: &[Vec<usize>]) -> Vec<Confused> {
    let mut pairs: Vec<Confused> = Vec::new();
    for (class, row) in classes.iter().zip(confusion) {
        let others =
            classes.iter().zip(row).filter(|(other, images)| **images > 0 && *other != class);
        pairs.extend(others.map(|(other, images)| Confused {
            class: class.clone(),
            taken_for: other.clone(),
            images: *images,
            of: row.iter().sum(),
        }));
    }
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.images));
    pairs.truncate(PAIRS);
    pairs
}

fn matrix(classes: &[String], confusion: &[Vec<usize>]) -> Vec<Line> {
    if classes.len() > SHOWN {
        return Vec::new();
    }
    let line = |(class, row): (&String, &Vec<usize>)| {
        let all = row.iter().sum::<usize>().max(1);
        let cell = |images: &usize| Cell { images: *images, share: 100 * images / all };
        Line { class: class.clone(), cells: row.iter().map(cell).collect() }
    };
    classes.iter().zip(confusion).map(line).collect()
}

/// Lines through points by name, and a mark at one place.
fn chart(
    [x_name, y_name]: [&str; 2],
    lines: &[(&str, Vec<(f64, f64)>)],
    mark: Option<f64>,
) -> Result<String> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let most = |value: fn(&(f64, f64)) -> f64| points().map(value).fold(0.0, f64::max).max(1e-6);
    let (width, height) = (1.05 * most(|point| point.0), 1.1 * most(|point| point.1));
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..width, 0.0..height)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(x_name)
            .y_desc(y_name)
            .draw()
            .map_err(failed)?;
        if let Some(x) = mark {
            let mark = LineSeries::new([(x, 0.0), (x, height)], &ORANGE);
            chart.draw_series(mark).map_err(failed)?.label("chosen").legend(legend(ORANGE));
        }
        for ((name, points), colour) in lines.iter().zip([BLUE, ORANGE]) {
            let dots = points.iter().map(|point| Circle::new(*point, 3, colour.filled()));
            chart.draw_series(dots).map_err(failed)?;
            let line = LineSeries::new(points.iter().copied(), &colour);
            chart.draw_series(line).map_err(failed)?.label(*name).legend(legend(colour));
        }
        let labels = &mut chart.configure_series_labels();
        labels.background_style(WHITE).border_style(BLACK.mix(0.2)).draw().map_err(failed)?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn legend(colour: RGBColor) -> impl Fn((i32, i32)) -> PathElement<(i32, i32)> {
    move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour)
}

/// plotters' errors borrow what is drawn on.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a chart cannot be drawn: {error}")
}
