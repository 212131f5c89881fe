//! The page from top to bottom.

mod ancestors;
mod experiment;
mod models;
mod origin;
mod runs;
mod summary;
mod table;

#[cfg(test)]
mod tests;

use std::fmt::{self, Write};

use crate::{
    data::{Report, Scale},
    findings::findings,
    text::Text,
};

const STYLE: &str = concat!(include_str!("page.css"), include_str!("figures.css"));
const SCRIPT: &str = include_str!("script.js");

/// Draws the page of a checked report: one HTML file that needs no network and no other file.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    page(&mut out, report).expect("writing to a string cannot fail");
    out
}

fn page(out: &mut String, report: &Report) -> fmt::Result {
    let scale = match report.scale {
        Scale::Desk => "on small models",
        Scale::Paper => "at the scale of the paper",
    };
    // Nothing may be fetched: the page is whole. Attention maps are pictures inside it.
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>Cluster-Learngene replicated {scale}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#results\">Skip to the results</a>\n<header>\n\
         <h1>Cluster-Learngene replicated {scale}</h1>"
    )?;
    let findings = findings(report);
    summary::lead(out, report)?;
    writeln!(out, "</header>\n<main>")?;
    section(out, "summary", "Summary", |out| summary::write(out, report, &findings))?;
    section(out, "ancestors", "Ancestors and their learngenes", |out| {
        ancestors::write(out, report)
    })?;
    writeln!(out, "<div id=\"results\" tabindex=\"-1\">")?;
    for experiment in &report.experiments {
        section(out, &experiment.id, &Text(&experiment.heading()).to_string(), |out| {
            experiment::write(out, experiment, report, &findings)
        })?;
    }
    writeln!(out, "</div>")?;
    section(out, "origin", "How it was made", |out| origin::write(out, report))?;
    writeln!(out, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>")
}

/// Writes a section that links can reach. The title may hold markup.
fn section(
    out: &mut String,
    id: &str,
    title: &str,
    content: impl FnOnce(&mut String) -> fmt::Result,
) -> fmt::Result {
    writeln!(
        out,
        "<section id=\"{id}\" aria-labelledby=\"{id}-heading\">\n<h2 id=\"{id}-heading\">{title}</h2>"
    )?;
    content(out)?;
    writeln!(out, "</section>")
}

/// Terms with what there is to say about them. Terms may hold markup, facts may not.
fn facts(out: &mut String, facts: &[(&str, String)]) -> fmt::Result {
    writeln!(out, "<dl class=\"facts\">")?;
    for (term, fact) in facts {
        writeln!(out, "<div><dt>{term}</dt><dd>{}</dd></div>", Text(fact))?;
    }
    writeln!(out, "</dl>")
}

/// Command lines to copy; the script puts a button beside them.
fn commands(out: &mut String, lines: &[String]) -> fmt::Result {
    let text = lines.join("\n");
    writeln!(out, "<div class=\"command\"><pre><code>{}</code></pre></div>", Text(&text))
}
