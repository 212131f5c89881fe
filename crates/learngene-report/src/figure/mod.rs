//! Drawing in SVG.
//!
//! Colours are the page's variables, so that figures follow light, dark and print; shapes and
//! dashes tell apart what colours do, for readers who do not see them.

pub(crate) mod attention;
mod axis;
pub(crate) mod curves;
pub(crate) mod flow;
pub(crate) mod heads;
mod labels;
mod marks;
pub(crate) mod points;

use std::fmt::{self, Write};

use crate::text::Text;

/// Opens a figure with its caption. Texts may hold markup.
pub(crate) fn open(out: &mut String, id: &str, title: &str, caption: &str) -> fmt::Result {
    write!(out, "<figure id=\"{id}\"><figcaption><strong>{title}</strong> {caption}</figcaption>")
}

/// Attributes of a drawing that screen readers tell by one sentence.
fn told(words: &str) -> String {
    format!("role=\"img\" aria-label=\"{}\"", Text(words))
}

/// Opens a folded table of a figure's numbers.
pub(crate) fn open_numbers(out: &mut String, words: &str) -> fmt::Result {
    let words = Text(words);
    write!(
        out,
        "<details><summary>{words}</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"{words}\"><table class=\"dense\">"
    )
}

/// Closes it.
pub(crate) fn close_numbers(out: &mut String) -> fmt::Result {
    writeln!(out, "</tbody></table></div></details>")
}
