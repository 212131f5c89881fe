//! Which heads and feed-forward networks feed which, drawn.

use std::fmt::{self, Write};

use super::flow::{Flow, Row};

/// Between two rows, and between two heads, in pixels.
const ROW: f64 = 30.0;
const STEP: f64 = 22.0;
/// Room above the first row, for the names of layers, and between the two sides.
const TOP: f64 = 56.0;
const NAMES: f64 = 64.0;
const GAP: f64 = 240.0;
const RADIUS: f64 = 8.0;

/// Colours of lines by the row they come from; dark enough on white, and apart from each other for
/// readers who see few colours.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#806600", "#56648f"];

/// A side of the figure.
struct Side<'a> {
    rows: &'a [Row],
    /// Where the first head stands.
    left: f64,
    /// Where the feed-forward networks stand.
    network: f64,
}

impl Side<'_> {
    fn head(&self, (row, place): (usize, usize)) -> (f64, f64) {
        (self.left + STEP * place as f64, TOP + ROW * row as f64)
    }

    fn network(&self, row: usize) -> (f64, f64) {
        (self.network, TOP + ROW * row as f64)
    }
}

/// A picture that stands alone, of any size.
pub(super) fn draw(flow: &Flow) -> String {
    let mut out = String::new();
    write_svg(&mut out, flow).expect("text can be written to a string");
    out
}

fn write_svg(out: &mut String, flow: &Flow) -> fmt::Result {
    let widest = |rows: &[Row]| rows.iter().map(|row| row.heads.len()).max().unwrap_or(0) as f64;
    // Each side: names, heads, networks; the networks stand on the side of the gap.
    let left_end = NAMES + STEP * widest(&flow.from) + STEP / 2.0;
    let right_start = left_end + GAP;
    let left = Side { rows: &flow.from, left: NAMES, network: left_end };
    let right = Side { rows: &flow.to, left: right_start + 1.5 * STEP, network: right_start };
    let width = right_start + STEP * (widest(&flow.to) + 2.0) + NAMES;
    let height = TOP + ROW * flow.from.len().max(flow.to.len()) as f64 + 24.0;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{NAMES}\" y=\"20\" font-size=\"13\">heads of the ancestor</text>\n\
         <text x=\"{:.1}\" y=\"20\" font-size=\"13\">{}</text>\n\
         <text x=\"{NAMES}\" y=\"36\" fill=\"#555\">circles: heads; squares: feed-forward \
         networks</text>",
        right.left, flow.title
    )?;
    for link in &flow.heads {
        curve(out, left.head(link.from), right.head(link.to), link.from.0, "")?;
    }
    for (from, to) in &flow.networks {
        curve(out, left.network(*from), right.network(*to), *from, " stroke-dasharray=\"4 3\"")?;
    }
    draw_side(out, &left, NAMES - 14.0, "end")?;
    draw_side(out, &right, width - NAMES + 6.0, "start")?;
    writeln!(out, "</svg>")
}

/// A line that leaves and arrives level.
fn curve(
    out: &mut String,
    (x0, y0): (f64, f64),
    (x1, y1): (f64, f64),
    row: usize,
    dashes: &str,
) -> fmt::Result {
    let (colour, middle) = (COLOURS[row % COLOURS.len()], (x0 + x1) / 2.0);
    writeln!(
        out,
        "<path d=\"M{x0:.1} {y0:.1}C{middle:.1} {y0:.1} {middle:.1} {y1:.1} {x1:.1} {y1:.1}\" \
         fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"0.55\"{dashes}/>"
    )
}

fn draw_side(out: &mut String, side: &Side<'_>, names: f64, anchor: &str) -> fmt::Result {
    for (row, Row { name, heads }) in side.rows.iter().enumerate() {
        let (x, y) = side.network(row);
        let (left, top, width) = (x - RADIUS, y - RADIUS, 2.0 * RADIUS);
        writeln!(
            out,
            "<text x=\"{names:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{name}</text>\
             <rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width}\" height=\"{width}\" \
             fill=\"#fff\" stroke=\"#333\"/>",
            y + 4.0
        )?;
        for (place, head) in heads.iter().enumerate() {
            let (x, y) = side.head((row, place));
            writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{RADIUS}\" fill=\"#fff\" \
                 stroke=\"#333\"/><text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"9\" \
                 text-anchor=\"middle\">{head}</text>",
                y + 3.0
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::inspect::flow::Link;

    #[test]
    fn every_head_and_every_link_is_drawn() {
        let row = |heads: &[&str]| Row {
            name: "layer".into(),
            heads: heads.iter().map(ToString::to_string).collect(),
        };
        let flow = Flow {
            title: "kept".into(),
            from: vec![row(&["0", "1"]), row(&["0"])],
            to: vec![row(&["1"])],
            heads: vec![Link { from: (0, 0), to: (0, 0) }, Link { from: (0, 1), to: (0, 0) }],
            networks: vec![(0, 0)],
        };
        let svg = draw(&flow);
        assert_eq!(svg.matches("<circle").count(), 4);
        assert_eq!(svg.matches("<path").count(), 3);
        assert_eq!(svg.matches("stroke-dasharray").count(), 1);
        assert_eq!(svg.matches("<rect").count(), 1 + 3);
    }
}
