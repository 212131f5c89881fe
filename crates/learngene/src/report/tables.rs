//! Tables: the methods with all their evaluations, and features before training.

use std::fmt::{self, Write};

use super::{
    data::{Frozen, Method, Projection, Report},
    figure::name,
    series::{Series, compare_with, items},
    text::{self, Decimals, Text, count, share, thousands},
};

const COLUMNS: [(&str, &str); 9] = [
    ("Method", ""),
    ("Projection", ""),
    ("Top-1 (%)", "n"),
    ("vs. scratch (points)", "n"),
    ("Depth", "n"),
    ("Heads kept", ""),
    ("Parameters", "n"),
    ("Inherited", "n"),
    ("MACs", "n"),
];

const FROZEN_COLUMNS: [(&str, &str); 6] = [
    ("Method", ""),
    ("Projection", ""),
    ("kNN (%)", "n"),
    ("Linear probe (%)", "n"),
    ("Depth", "n"),
    ("w", "n"),
];

/// Writes one row a series, shape by shape, each with its evaluations folded below it.
pub(super) fn methods(out: &mut String, report: &Report, series: &[Series]) -> fmt::Result {
    let decimals = Decimals::of(report.data.test_images);
    write!(
        out,
        "<p class=\"note\" id=\"methods-note\">Top-1 on {} test images at the last evaluation, \
         mean ± sample \
         standard deviation over n seeds. Heads kept: heads of every layer and head ratio w. MACs: \
         multiply-accumulates of one image.</p><div class=\"scroll\" tabindex=\"0\" \
         role=\"region\" \
         aria-label=\"Methods compared\"><table class=\"grouped\" \
         aria-describedby=\"methods-note\"><thead><tr>",
        thousands(report.data.test_images),
    )?;
    for (column, class) in COLUMNS {
        write!(out, "<th scope=\"col\" class=\"{class}\">{column}</th>")?;
    }
    writeln!(out, "</tr></thead>")?;
    for item in items(series) {
        open_group(out, item, COLUMNS.len())?;
        for one in series.iter().filter(|series| series.item() == item) {
            method(out, one, series, decimals)?;
            evaluations(out, one, decimals)?;
        }
        writeln!(out, "</tbody>")?;
    }
    writeln!(out, "</table></div>")
}

fn method(out: &mut String, series: &Series, all: &[Series], decimals: Decimals) -> fmt::Result {
    let row = series.row();
    let scratch = compare_with(series, Method::FromScratch, all)
        .map_or("–".to_owned(), |comparison| decimals.points(comparison.points));
    writeln!(
        out,
        "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\"><strong>{}</strong> <small>n = \
         {}</small></td>\
         <td class=\"n\">{scratch}</td><td class=\"n\">{}</td><td>{} <small>w = {}, {}</small></td>\
         <td class=\"n\">{}</td><td class=\"n\">{} <small>{}</small></td><td \
         class=\"n\">{}</td></tr>",
        row.method.name(),
        projection(row.projection),
        decimals.spread(series.final_top1()),
        series.rows.len(),
        row.depth,
        text::heads(&row.heads),
        Text(&row.head_ratio),
        Text(&row.family),
        thousands(row.params),
        thousands(row.inherited_params),
        share(row.inherited_params, row.params),
        thousands(row.macs),
    )
}

fn projection(projection: Option<Projection>) -> &'static str {
    projection.map_or("–", Projection::name)
}

/// Every evaluation of every seed, and their mean.
fn evaluations(out: &mut String, series: &Series, decimals: Decimals) -> fmt::Result {
    let row = series.row();
    let summary = format!(
        "{} of {}",
        count(row.top1.len(), "evaluation", "evaluations"),
        count(series.rows.len(), "seed", "seeds"),
    );
    write!(
        out,
        "<tr class=\"more\"><td colspan=\"{}\"><details><summary>{summary}</summary><table \
         class=\"dense\">\
         <caption>{}, {}: top-1 in percent</caption><thead><tr><th scope=\"col\">Epoch</th>",
        COLUMNS.len(),
        Text(&row.item),
        Text(&name(row.method, row.projection)),
    )?;
    for epoch in &row.epochs {
        write!(out, "<th scope=\"col\" class=\"n\">{}</th>", (epoch * 100.0).round() / 100.0)?;
    }
    write!(out, "</tr></thead><tbody>")?;
    for row in &series.rows {
        write!(out, "<tr><th scope=\"row\">seed {}</th>", row.seed)?;
        for &top1 in &row.top1 {
            write!(out, "<td class=\"n\">{}</td>", decimals.percent(top1))?;
        }
        write!(out, "</tr>")?;
    }
    if series.rows.len() > 1 {
        write!(out, "<tr><th scope=\"row\">mean</th>")?;
        for (_, top1) in series.curve() {
            write!(out, "<td class=\"n\">{}</td>", decimals.spread(top1))?;
        }
        write!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></details></td></tr>")
}

/// Writes what frozen features tell right after expansion, shape by shape.
pub(super) fn frozen(out: &mut String, report: &Report) -> fmt::Result {
    let decimals = Decimals::of(report.data.test_images);
    write!(
        out,
        "<p class=\"note\" id=\"frozen-note\">Top-1 in percent of k-nearest neighbours (kNN) and \
         of a ridge \
         linear probe on the features of models that were not trained.</p><div class=\"scroll\" \
         tabindex=\"0\" \
         role=\"region\" aria-label=\"Features before training\"><table class=\"grouped\" \
         aria-describedby=\"frozen-note\"><thead><tr>"
    )?;
    for (column, class) in FROZEN_COLUMNS {
        write!(out, "<th scope=\"col\" class=\"{class}\">{column}</th>")?;
    }
    writeln!(out, "</tr></thead>")?;
    let mut shapes: Vec<&str> = Vec::new();
    for item in report.frozen.iter().map(|frozen| frozen.item.as_str()) {
        if !shapes.contains(&item) {
            shapes.push(item);
        }
    }
    for item in shapes {
        open_group(out, item, FROZEN_COLUMNS.len())?;
        for frozen in report.frozen.iter().filter(|frozen| frozen.item == item) {
            let Frozen { method, depth, head_ratio, knn_top1, linear_top1, .. } = frozen;
            writeln!(
                out,
                "<tr><th scope=\"row\">{}</th><td>{}</td>{}{}<td class=\"n\">{depth}</td><td \
                 class=\"n\">{}</td></tr>",
                method.name(),
                projection(frozen.projection),
                bar(*knn_top1, decimals),
                bar(*linear_top1, decimals),
                Text(head_ratio),
            )?;
        }
        writeln!(out, "</tbody>")?;
    }
    writeln!(out, "</table></div>")
}

/// Opens the rows of one shape with its name.
pub(super) fn open_group(out: &mut String, item: &str, columns: usize) -> fmt::Result {
    writeln!(
        out,
        "<tbody><tr class=\"item\"><th scope=\"rowgroup\" \
         colspan=\"{columns}\"><span>{}</span></th></tr>",
        Text(item),
    )
}

/// A percentage over a bar of its length.
pub(super) fn bar(percent: f64, decimals: Decimals) -> String {
    let text = decimals.percent(percent);
    format!(
        "<td class=\"n\"><span class=\"meter\" style=\"--part:{percent:.1}%\">{text}</span></td>"
    )
}
