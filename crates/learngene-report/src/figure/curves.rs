//! Accuracy against epochs (Fig. 5 and 8): one panel for each column, on one scale.

use std::fmt::{self, Write};

use super::{
    axis::{Axis, draw_axes, ticks},
    labels::spread_out,
    marks::{Style, legend, marker, row_styles},
    told,
};
use crate::{
    data::{Convergence, Experiment, Measure, Measured},
    grid::unique,
    measure::Digits,
    stats::Point,
    text::{Text, plain, thousands},
};

const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 30.0;
const RIGHT: f64 = 304.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 240.0;

/// One row's curve in one column.
struct Curve<'a> {
    row: &'a str,
    style: Style,
    points: Vec<Point>,
    runs: usize,
}

impl Curve<'_> {
    /// The last evaluation. Curves have at least one.
    fn end(&self) -> Point {
        self.points[self.points.len() - 1]
    }
}

/// The scales and words that all panels share.
struct Axes {
    across: Axis,
    down: Axis,
    /// Top-1 of guessing, in percent.
    chance: Option<f64>,
    digits: Digits,
}

impl Axes {
    fn new(experiment: &Experiment) -> Self {
        let points: Vec<Point> =
            experiment.run_cells().flat_map(|(_, measured)| measured.curve()).collect();
        let low = points.iter().map(|point| point.top1.mean - point.top1.std.unwrap_or(0.0));
        let high = points.iter().map(|point| point.top1.mean + point.top1.std.unwrap_or(0.0));
        let last = points.iter().map(|point| point.epoch).fold(0.0, f64::max);
        // A spread may reach beyond what a percentage can be; the axis does not.
        let (low, high) = (low.fold(100.0, f64::min).max(0.0), high.fold(0.0, f64::max).min(100.0));
        // Curves reach the right edge, whether or not a round number lies there.
        let mut epochs = ticks(0.0, last, 6);
        let step = epochs[1] - epochs[0];
        epochs.retain(|epoch| *epoch < last - step / 3.0);
        epochs.push(last);
        let down = Axis::new(ticks(low, high, 6), [BOTTOM, TOP], 1.0, "top-1 (%)");
        let [least, most] = down.scale.values;
        let chance = experiment.data.as_ref().map(|data| 100.0 / data.classes as f64);
        Self {
            across: Axis::new(epochs, [LEFT, RIGHT], 1.0, "epochs"),
            down,
            chance: chance.filter(|chance| (least..=most).contains(chance)),
            digits: experiment.digits(Measure::Top1),
        }
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let place = |(epoch, top1)| {
            format!("{:.1},{:.1}", self.across.scale.at(epoch), self.down.scale.within(top1))
        };
        points.map(place).collect::<Vec<_>>().join(" ")
    }
}

/// Whether an experiment has curves to draw.
pub(crate) fn any(experiment: &Experiment) -> bool {
    experiment.run_cells().any(|(_, measured)| !measured.curve().is_empty())
}

/// Draws the panels with their legend, and the folded table of their numbers.
pub(crate) fn draw(out: &mut String, experiment: &Experiment) -> fmt::Result {
    let axes = Axes::new(experiment);
    let has_band = experiment.run_cells().any(|(_, measured)| measured.runs.len() > 1);
    let band = if has_band {
        "Means over seeds; bands are ± one sample standard deviation."
    } else {
        "One seed each: the spread between seeds is unknown."
    };
    let chance = axes.chance.map_or(String::new(), |chance| {
        format!(" The dotted line is chance, {} %.", plain(chance))
    });
    let marked = if experiment.convergence.is_empty() {
        ""
    } else {
        " The double line lies at the accuracy which the learngene's descendant has after its whole \
         run, from there to where from-scratch first has it; an arrow says that it never did."
    };
    let caption = format!("Top-1 on test images. {band}{chance}{marked}");
    super::open(out, &format!("{}-curves", experiment.id), "Accuracy against epochs.", &caption)?;
    let styles = row_styles(experiment);
    let has_curve =
        |row: &str| experiment.run_cells().any(|(c, m)| c.row == row && !m.curve().is_empty());
    write!(out, "{}", legend(styles.iter().copied().filter(|(row, _)| has_curve(row))))?;
    writeln!(out, "<div class=\"panels\">")?;
    for column in experiment.columns() {
        let curves = curves_of(experiment, &styles, column);
        if !curves.is_empty() {
            panel(out, experiment, column, &curves, &axes)?;
        }
    }
    writeln!(out, "</div>")?;
    numbers(out, experiment, &styles, &axes)?;
    writeln!(out, "</figure>")
}

fn curves_of<'a>(
    experiment: &'a Experiment,
    styles: &[(&'a str, Style)],
    column: &str,
) -> Vec<Curve<'a>> {
    let curve = |&(row, style): &(&'a str, Style)| {
        let mut of_row = experiment.run_cells().filter(|(c, _)| c.row == row && c.column == column);
        of_row.find_map(|(_, measured): (_, &Measured)| {
            let (points, runs) = (measured.curve(), measured.runs.len());
            (!points.is_empty()).then_some(Curve { row, style, points, runs })
        })
    };
    styles.iter().filter_map(curve).collect()
}

fn panel(
    out: &mut String,
    experiment: &Experiment,
    column: &str,
    curves: &[Curve],
    axes: &Axes,
) -> fmt::Result {
    let convergence: Vec<&Convergence> =
        experiment.convergence.iter().filter(|one| one.column == column).collect();
    let ends = curves.iter().map(|curve| {
        let end = curve.end();
        format!("{} ends at {} %", curve.row, axes.digits.spread(end.top1))
    });
    let ratios = convergence.iter().map(|one| {
        let bound = if one.reached { "" } else { "at least " };
        format!("from scratch needs {bound}{:.1} times the steps", one.ratio)
    });
    let words = format!(
        "Top-1 against epochs, {column}: {}.",
        ends.chain(ratios).collect::<Vec<_>>().join("; ")
    );
    write!(
        out,
        "<div class=\"panel\"><h4>{}</h4><svg {} viewBox=\"0 0 {WIDTH} {HEIGHT}\">",
        Text(column),
        told(&words),
    )?;
    draw_axes(out, &axes.across, &axes.down)?;
    if let Some(chance) = axes.chance {
        let y = axes.down.scale.at(chance);
        let ends = format!("x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"");
        write!(out, "<line class=\"chance\" {ends}/>")?;
    }
    for curve in curves {
        band(out, curve, axes)?;
    }
    for curve in curves {
        line(out, curve, axes)?;
    }
    for one in convergence {
        speed_up(out, one, experiment, axes)?;
    }
    end_numbers(out, curves, axes)?;
    writeln!(out, "</svg></div>")
}

fn band(out: &mut String, curve: &Curve, axes: &Axes) -> fmt::Result {
    let edge = |side: f64| {
        let place =
            move |point: &Point| Some((point.epoch, point.top1.mean + side * point.top1.std?));
        curve.points.iter().filter_map(place).collect::<Vec<_>>()
    };
    let (upper, lower) = (edge(1.0), edge(-1.0));
    if upper.is_empty() {
        return Ok(());
    }
    let outline = axes.path(upper.into_iter().chain(lower.into_iter().rev()));
    write!(out, "<polygon class=\"band {}\" points=\"{outline}\"/>", curve.style.class)
}

fn line(out: &mut String, curve: &Curve, axes: &Axes) -> fmt::Result {
    let Style { class, marker: kind, dashes } = curve.style;
    let path = axes.path(curve.points.iter().map(|point| (point.epoch, point.top1.mean)));
    write!(
        out,
        "<g class=\"{class}\"><polyline class=\"line\" points=\"{path}\" \
         stroke-dasharray=\"{dashes}\"/>"
    )?;
    for point in &curve.points {
        write!(
            out,
            "<g transform=\"translate({:.1} {:.1})\"><title>{}, epoch {}: {} %</title>{}</g>",
            axes.across.scale.at(point.epoch),
            axes.down.scale.at(point.top1.mean),
            Text(curve.row),
            plain(point.epoch),
            axes.digits.spread(point.top1),
            marker(kind, 3.0),
        )?;
    }
    write!(out, "</g>")
}

/// A line at equal accuracy, from the descendant's last evaluation to that of from-scratch.
fn speed_up(
    out: &mut String,
    one: &Convergence,
    experiment: &Experiment,
    axes: &Axes,
) -> fmt::Result {
    let epoch = |method: &str, step: u64| {
        let curve = experiment.first_by(method, &one.column, &one.ancestor)?.curve();
        curve.iter().find(|point| point.step == step).map(|point| point.epoch)
    };
    let ends = epoch("cluster-learngene", one.learngene_steps)
        .zip(epoch("from-scratch", one.scratch_steps));
    let Some((from, to)) = ends else { return Ok(()) };
    let (x1, x2) = (axes.across.scale.at(from), axes.across.scale.at(to));
    let y = axes.down.scale.within(one.target);
    let bound = if one.reached { "" } else { "≥ " };
    let head = if one.reached {
        format!("M{x2:.1},{:.1}v10", y - 5.0)
    } else {
        let side = if x2 < x1 { 7.0 } else { -7.0 };
        format!("M{:.1},{:.1}L{x2:.1},{y:.1}L{:.1},{:.1}", x2 + side, y - 5.0, x2 + side, y + 5.0)
    };
    // Above the line, or below it where the title of the axis is near.
    let label = if y - 9.0 < TOP { y + 17.0 } else { y - 8.0 };
    write!(
        out,
        "<path class=\"speed\" d=\"M{x1:.1},{:.1}v10M{x1:.1},{:.1}H{x2:.1}M{x1:.1},{:.1}H{x2:.1}{head}\"/>\
         <text class=\"speed-text\" x=\"{:.1}\" y=\"{label:.1}\" text-anchor=\"middle\">{bound}{:.1} ×</text>",
        y - 5.0,
        y - 1.5,
        y + 1.5,
        (x1 + x2) / 2.0,
        one.ratio,
    )
}

/// The final means at the right, moved apart where they would cover each other.
fn end_numbers(out: &mut String, curves: &[Curve], axes: &Axes) -> fmt::Result {
    let mut ends: Vec<(f64, &Curve)> =
        curves.iter().map(|curve| (axes.down.scale.at(curve.end().top1.mean), curve)).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let wanted: Vec<f64> = ends.iter().map(|(y, _)| *y).collect();
    for ((_, curve), y) in ends.iter().zip(spread_out(&wanted, BOTTOM)) {
        write!(
            out,
            "<text class=\"end {}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            curve.style.class,
            RIGHT + 9.0,
            y + 4.0,
            axes.digits.value(curve.end().top1.mean),
        )?;
    }
    Ok(())
}

/// A table for each panel: evaluations down, curves across.
fn numbers(
    out: &mut String,
    experiment: &Experiment,
    styles: &[(&str, Style)],
    axes: &Axes,
) -> fmt::Result {
    let words = format!("Numbers of the curves, {}", experiment.short_name());
    let words = Text(&words);
    writeln!(out, "<details><summary>{words}</summary>")?;
    for column in experiment.columns() {
        let curves = curves_of(experiment, styles, column);
        if curves.is_empty() {
            continue;
        }
        write!(
            out,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{words}, {0}\">\
             <table class=\"dense\"><caption>{0}: top-1 in percent</caption><thead><tr>\
             <th scope=\"col\" class=\"n\">Steps</th><th scope=\"col\" class=\"n\">Epochs</th>",
            Text(column),
        )?;
        for curve in &curves {
            let (row, runs) = (Text(curve.row), curve.runs);
            write!(out, "<th scope=\"col\" class=\"n\">{row} <small>n = {runs}</small></th>")?;
        }
        writeln!(out, "</tr></thead><tbody>")?;
        let points = curves.iter().flat_map(|curve| &curve.points);
        let mut steps: Vec<(u64, f64)> = unique(points.map(|point| (point.step, point.epoch)));
        steps.sort_by_key(|(step, _)| *step);
        for (step, epoch) in steps {
            let (step_text, epoch) = (thousands(step), plain(epoch));
            write!(
                out,
                "<tr><th scope=\"row\" class=\"n\">{step_text}</th><td class=\"n\">{epoch}</td>"
            )?;
            for curve in &curves {
                let point = curve.points.iter().find(|point| point.step == step);
                let top1 = point.map_or(String::new(), |point| axes.digits.spread(point.top1));
                write!(out, "<td class=\"n\">{top1}</td>")?;
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</tbody></table></div>")?;
    }
    writeln!(out, "</details>")
}
