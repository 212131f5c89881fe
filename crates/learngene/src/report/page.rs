//! The page from top to bottom.

use std::fmt::{self, Write};

use super::{
    ablations,
    data::Report,
    figure::{curves, heads, size},
    origin,
    series::{Series, group},
    summary, tables,
    text::Text,
};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Draws the page of a checked report.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    page(&mut out, report, &group(&report.rows)).expect("writing to a string cannot fail");
    out
}

fn page(out: &mut String, report: &Report, series: &[Series]) -> fmt::Result {
    let profile = Text(&report.profile);
    // Nothing may be fetched: the page is whole.
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>Learngene report: {profile}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>Learngene report: {profile}</h1>"
    )?;
    summary::write(out, report, series)?;
    writeln!(out, "</header>\n<main>")?;
    section(out, "methods", "Methods compared", |out| tables::methods(out, report, series))?;
    section(out, "clusters", "Head distances and clusters", |out| {
        heads::draw(out, &report.learngene)
    })?;
    section(out, "learning", "Learning curves", |out| {
        curves::draw(out, series, &report.data, &report.recipe)
    })?;
    section(out, "sizes", "Size and accuracy", |out| {
        writeln!(out, "<div class=\"pair\">")?;
        size::draw_bars(out, report)?;
        size::draw_accuracy(out, series, report)?;
        writeln!(out, "</div>")
    })?;
    if !report.frozen.is_empty() {
        section(out, "frozen", "Features before training", |out| tables::frozen(out, report))?;
    }
    if !report.ablations.is_empty() {
        section(out, "ablations", "Choices of the method", |out| ablations::write(out, report))?;
    }
    section(out, "origin", "How it was made", |out| origin::write(out, report))?;
    writeln!(out, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>")
}

fn section(
    out: &mut String,
    id: &str,
    title: &str,
    content: impl FnOnce(&mut String) -> fmt::Result,
) -> fmt::Result {
    writeln!(
        out,
        "<section aria-labelledby=\"{id}-heading\">\n<h2 id=\"{id}-heading\">{title}</h2>"
    )?;
    content(out)?;
    writeln!(out, "</section>")
}
