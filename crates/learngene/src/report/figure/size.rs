//! Size of the learngene beside the ancestor, and accuracy against parameters.

use std::fmt::{self, Write};

use super::{Axis, Scale, Style, draw_axes, marker, method_legend, name, ticks};
use crate::report::{
    data::Report,
    series::{Series, Spread, items},
    text::{self, Decimals, Text},
};

const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 298.0;
const LEFT: f64 = 30.0;
const RIGHT: f64 = 326.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 258.0;
/// Distance between series of one shape, which have the same parameters.
const SIDE_STEP: f64 = 7.0;
/// Width that one letter of a shape's name takes, with room between names.
const LETTER: f64 = 7.6;

/// Draws bars for bytes and parameters.
pub(in crate::report) fn draw_bars(out: &mut String, report: &Report) -> fmt::Result {
    let (ancestor, learngene) = (&report.ancestor, &report.learngene);
    let pairs = [
        ("File", "B", ancestor.bytes, learngene.bytes),
        ("Parameters", "", ancestor.params, learngene.stored_params),
    ];
    let describe = pairs.map(|(what, unit, whole, part)| {
        let (part, share, whole) =
            (text::short(part), text::share(part, whole), text::short(whole));
        format!("{what}: learngene {part}{unit}, {share} of the ancestor's {whole}{unit}.")
    });
    write!(
        out,
        "<figure id=\"size\"><figcaption><strong>Figure 3. The learngene beside its \
         ancestor.</strong> \
         Size of the file and number of parameters.</figcaption>\
         <svg role=\"img\" aria-labelledby=\"size-title size-desc\" width=\"100%\" height=\"206\">\
         <title id=\"size-title\">Learngene size against the ancestor</title><desc \
         id=\"size-desc\">{}</desc>",
        Text(&describe.join(" ")),
    )?;
    for (index, (what, unit, whole, part)) in pairs.into_iter().enumerate() {
        let top = index as f64 * 104.0;
        write!(out, "<text class=\"axis\" x=\"0\" y=\"{:.0}\">{what}</text>", top + 14.0)?;
        let largest = whole.max(part) as f64;
        for (row, (name, class, value)) in
            [("ancestor", "c0", whole), ("learngene", "c1", part)].into_iter().enumerate()
        {
            let y = top + 22.0 + row as f64 * 36.0;
            let share =
                if row == 1 { format!(", {}", text::share(part, whole)) } else { String::new() };
            write!(
                out,
                "<g class=\"{class}\"><rect class=\"bar\" x=\"0\" y=\"{y}\" width=\"{:.2}%\" \
                 height=\"14\" rx=\"2\"/></g>\
                 <text class=\"tick\" x=\"0\" y=\"{:.0}\">{name} {}{unit}{share}</text>",
                100.0 * value as f64 / largest,
                y + 27.0,
                text::short(value),
            )?;
        }
    }
    writeln!(out, "</svg></figure>")
}

/// Draws the final top-1 of every series over its parameters.
pub(in crate::report) fn draw_accuracy(
    out: &mut String,
    series: &[Series],
    report: &Report,
) -> fmt::Result {
    let decimals = Decimals::of(report.data.test_images);
    let edges = |side: f64| series.iter().map(move |series| edge(series.final_top1(), side));
    let (low, high) = (edges(-1.0).fold(100.0, f64::min), edges(1.0).fold(0.0, f64::max));
    let params = series.iter().map(|series| series.row().params as f64).fold(0.0, f64::max);
    let across = Axis::new(ticks(0.0, params, 6), [LEFT, RIGHT], 1e6, "parameters (millions)");
    let down = Axis::new(ticks(low, high, 6), [BOTTOM, TOP], 1.0, "top-1 (%)");

    write!(
        out,
        "<figure id=\"accuracy\"><figcaption><strong>Figure 4. Accuracy against \
         parameters.</strong> Top-1 of \
         the last evaluation, mean over seeds{}. Models of one shape have the same parameters and \
         stand side by \
         side; numbers are in the table of methods.</figcaption>{}<svg role=\"img\" \
         aria-labelledby=\"accuracy-title accuracy-desc\" viewBox=\"0 0 {WIDTH} {HEIGHT}\">\
         <title id=\"accuracy-title\">Final top-1 against parameters</title><desc \
         id=\"accuracy-desc\">{}</desc>",
        if series.iter().any(|s| s.rows.len() > 1) {
            " ± one sample standard deviation"
        } else {
            ""
        },
        method_legend(series),
        Text(&describe(series, decimals)),
    )?;
    draw_axes(out, &across, &down)?;
    shape_names(out, series, &across.scale)?;
    for item in items(series) {
        let of_item: Vec<&Series> = series.iter().filter(|series| series.item() == item).collect();
        for (index, series) in of_item.iter().enumerate() {
            let aside = (index as f64 - (of_item.len() - 1) as f64 / 2.0) * SIDE_STEP;
            let x = across.scale.at(series.row().params as f64) + aside;
            point(out, series, x, &down.scale, decimals)?;
        }
    }
    writeln!(out, "</svg></figure>")
}

/// One standard deviation above or below the mean, as far as a percentage can go.
fn edge(top1: Spread, side: f64) -> f64 {
    (top1.mean + side * top1.std.unwrap_or(0.0)).clamp(0.0, 100.0)
}

fn describe(series: &[Series], decimals: Decimals) -> String {
    let sentence = |series: &Series| {
        let (name, row) = (name(series.method(), series.projection()), series.row());
        let (params, top1) = (text::thousands(row.params), decimals.spread(series.final_top1()));
        format!("{}, {name}: {params} parameters, {top1} %.", row.item)
    };
    series.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

/// Names of the shapes over their parameters, in as many lines as keep them apart.
fn shape_names(out: &mut String, series: &[Series], across: &Scale) -> fmt::Result {
    let mut taken: Vec<[f64; 3]> = Vec::new();
    for item in items(series) {
        let Some(of_item) = series.iter().find(|series| series.item() == item) else { continue };
        let x = across.at(of_item.row().params as f64);
        let half = item.chars().count() as f64 * LETTER / 2.0;
        let middle = x.min(WIDTH - half);
        let is_free = |line: &f64| {
            taken.iter().all(|[start, end, other]| {
                other != line || middle + half < *start || *end < middle - half
            })
        };
        let line = [0.0, 1.0, 2.0].into_iter().find(is_free).unwrap_or(2.0);
        taken.push([middle - half, middle + half, line]);
        let y = TOP - 8.0 - 14.0 * line;
        write!(
            out,
            "<line class=\"guide\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{BOTTOM}\"/>\
             <text class=\"tick\" x=\"{middle:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>",
            y + 4.0,
            Text(item),
        )?;
    }
    Ok(())
}

fn point(
    out: &mut String,
    series: &Series,
    x: f64,
    down: &Scale,
    decimals: Decimals,
) -> fmt::Result {
    let Style { class, marker: kind, .. } = Style::of(series.method(), series.projection());
    let top1 = series.final_top1();
    let (high, low) = (down.at(edge(top1, 1.0)), down.at(edge(top1, -1.0)));
    write!(
        out,
        "<g class=\"{class}\"><title>{}, {}: {} %</title>\
         <line class=\"line\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{high:.1}\" y2=\"{low:.1}\"/>\
         <g transform=\"translate({x:.1} {:.1})\">{}</g></g>",
        Text(series.item()),
        Text(&name(series.method(), series.projection())),
        decimals.spread(top1),
        down.at(top1.mean),
        marker(kind, 4.0),
    )
}
