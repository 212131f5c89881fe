//! Drawing in SVG: scales, marks, and how each method looks.
//!
//! Colours are the page's variables, so that figures follow light, dark and print; shapes and
//! dashes tell apart what colours do, for readers who do not see them.

pub(super) mod curves;
pub(super) mod heads;
pub(super) mod size;

use std::{
    f64::consts::{FRAC_PI_2, PI},
    fmt::{self, Write},
};

use super::{
    data::{Method, Projection},
    series::Series,
    text::Text,
};

/// A straight scale from values to places on the page.
struct Scale {
    values: [f64; 2],
    places: [f64; 2],
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let [from, to] = self.values;
        let [start, end] = self.places;
        start + (value - from) / (to - from) * (end - start)
    }
}

/// A scale with its ticks and what they count.
struct Axis {
    scale: Scale,
    ticks: Vec<f64>,
    /// What a tick's number is multiplied by, such as a million.
    unit: f64,
    title: &'static str,
}

impl Axis {
    /// An axis as long as its ticks, between two places.
    fn new(ticks: Vec<f64>, places: [f64; 2], unit: f64, title: &'static str) -> Self {
        let values = [ticks[0], ticks[ticks.len() - 1]];
        Self { scale: Scale { values, places }, ticks, unit, title }
    }
}

/// Draws lines with numbers at the left, numbers below, and the titles of both axes.
fn draw_axes(out: &mut String, across: &Axis, down: &Axis) -> fmt::Result {
    let ([left, right], [bottom, _]) = (across.scale.places, down.scale.places);
    for &tick in &down.ticks {
        let y = down.scale.at(tick);
        write!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + 4.0,
            tick_text(tick / down.unit),
        )?;
    }
    for &tick in &across.ticks {
        write!(
            out,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            across.scale.at(tick),
            bottom + 17.0,
            tick_text(tick / across.unit),
        )?;
    }
    write!(
        out,
        "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text class=\"axis\" x=\"0\" y=\"12\">{}</text>",
        (left + right) / 2.0,
        bottom + 34.0,
        across.title,
        down.title,
    )
}

/// Round numbers in steps of 1, 2 or 5 times a power of ten, from at most `low` to at least `high`.
fn ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    // One number alone still needs a span.
    let high = if high > low { high } else { low + 1.0 };
    let power = 10f64.powf(((high - low) / most as f64).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0].map(|step| step * power);
    let range = |step: f64| ((low / step).floor() as i64, (high / step).ceil() as i64);
    let fits = |step: &f64| range(*step).1 - range(*step).0 <= most as i64;
    let step = steps.into_iter().find(fits).unwrap_or(steps[4]);
    let (first, last) = range(step);
    (first..=last).map(|i| i as f64 * step).collect()
}

/// A tick's number without noise of the arithmetic: `0.3`, not `0.30000000000000004`.
fn tick_text(value: f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}

/// A shape of about the same area for every `kind`, around the origin.
fn marker(kind: usize, radius: f64) -> String {
    let shape = |corners: usize, inner: f64, outer: f64, turn: f64| {
        let points: Vec<String> = (0..corners)
            .map(|i| {
                let length = radius * if i % 2 == 0 { outer } else { inner };
                let angle = turn + 2.0 * PI * i as f64 / corners as f64;
                format!("{:.2},{:.2}", length * angle.cos(), length * angle.sin())
            })
            .collect();
        format!(r#"<polygon class="mark" points="{}"/>"#, points.join(" "))
    };
    match kind % 8 {
        0 => format!(r#"<circle class="mark" r="{radius:.2}"/>"#),
        1 => shape(4, 1.25, 1.25, PI / 4.0),
        2 => shape(3, 1.5, 1.5, -FRAC_PI_2),
        3 => shape(4, 1.1, 1.6, -FRAC_PI_2),
        4 => shape(3, 1.5, 1.5, FRAC_PI_2),
        5 => shape(10, 0.68, 1.6, -FRAC_PI_2),
        6 => shape(6, 1.12, 1.12, 0.0),
        _ => shape(8, 0.6, 1.6, PI / 4.0),
    }
}

/// How a series looks in every figure: a class that sets its colour, a marker, and dashes.
struct Style {
    class: &'static str,
    marker: usize,
    dashes: &'static str,
}

impl Style {
    fn of(method: Method, projection: Option<Projection>) -> Self {
        let (class, marker, dashes) = match (method, projection) {
            (Method::ClusterLearngene, None | Some(Projection::Centroid)) => ("c1", 0, "none"),
            (Method::ClusterLearngene, Some(Projection::Origin)) => ("c4", 1, "7 3"),
            (Method::ClusterLearngene, Some(Projection::Rescaled)) => ("c5", 2, "2 3"),
            (Method::ClusterLearngene, Some(Projection::Refit)) => ("c5", 5, "1 2"),
            (Method::PretrainingFinetuning, _) => ("c3", 4, "10 3 2 3"),
            (Method::FromScratch, _) => ("c2", 3, "4 2"),
        };
        Self { class, marker, dashes }
    }
}

/// What a series is called in legends and tables: `Cluster-Learngene (centroid)`.
pub(super) fn name(method: Method, projection: Option<Projection>) -> String {
    match projection {
        Some(projection) => format!("{} ({})", method.name(), projection.name()),
        None => method.name().to_owned(),
    }
}

/// A legend of the methods in the order of their first appearance.
fn method_legend(series: &[Series]) -> String {
    let mut kinds: Vec<(Method, Option<Projection>)> = Vec::new();
    for series in series {
        let kind = (series.method(), series.projection());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let entries: String = kinds
        .into_iter()
        .map(|(method, projection)| {
            let Style { class, marker: kind, dashes } = Style::of(method, projection);
            format!(
                "<li><svg class=\"key {class}\" width=\"36\" height=\"14\" viewBox=\"-18 -7 36 \
                 14\" \
                 aria-hidden=\"true\"><line class=\"line\" x1=\"-17\" x2=\"17\" \
                 stroke-dasharray=\"{dashes}\"/>\
                 {}</svg> {}</li>",
                marker(kind, 4.0),
                Text(&name(method, projection)),
            )
        })
        .collect();
    format!("<ul class=\"legend\">{entries}</ul>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_ticks(low: f64, high: f64, want: &[&str]) {
        let texts: Vec<String> = ticks(low, high, 5).into_iter().map(tick_text).collect();
        assert_eq!(texts, want);
    }

    #[test]
    fn ticks_are_round_and_enclose() {
        check_ticks(0.0, 15.3, &["0", "5", "10", "15", "20"]);
        check_ticks(31.0, 58.0, &["30", "40", "50", "60"]);
        check_ticks(0.0, 0.3, &["0", "0.1", "0.2", "0.3"]);
    }

    #[test]
    fn ticks_of_one_number_still_span() {
        check_ticks(50.0, 50.0, &["50", "50.2", "50.4", "50.6", "50.8", "51"]);
    }

    #[test]
    fn ticks_are_few() {
        for high in [0.003, 0.7, 1.0, 9.0, 11.0, 49.0, 99.0, 101.0, 12_345.0] {
            assert!(ticks(0.0, high, 5).len() <= 6, "{high}");
            assert!(ticks(-high, high, 5).len() <= 6, "{high}");
        }
    }
}
