//! Which heads and FFNs come from which, drawn.

use std::fmt::{self, Write};

use super::flow::{Flow, Row};

/// Between two heads of a layer, and more between two layers, in pixels.
const STEP: f64 = 11.0;
const GAP: f64 = 12.0;
/// Room above the first layer, at the sides for names, and between them.
const TOP: f64 = 58.0;
const NAMES: f64 = 92.0;
const MIDDLE: f64 = 340.0;
const RADIUS: f64 = 3.5;

/// Colours of lines by the layer they come from; dark enough on white, and apart from each other for
/// readers who see few colours.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#806600", "#56648f"];

/// One side of the figure: every layer a column of heads, its FFN below them.
struct Side<'a> {
    rows: &'a [Row],
    x: f64,
    /// Where each layer begins.
    tops: Vec<f64>,
    /// Where the next layer would begin.
    bottom: f64,
}

impl<'a> Side<'a> {
    /// Layers as close as they can be, or spread out to a given height.
    fn new(rows: &'a [Row], x: f64, height: f64) -> Self {
        let heights = rows.iter().map(|row| STEP * (row.heads.len() + 1) as f64 + GAP);
        let least: f64 = heights.clone().sum();
        let more = (height - least).max(0.0) / rows.len().max(1) as f64;
        let mut bottom = TOP;
        let mut tops = Vec::with_capacity(rows.len());
        for height in heights {
            tops.push(bottom + more / 2.0);
            bottom += height + more;
        }
        Self { rows, x, tops, bottom }
    }

    fn head(&self, (row, place): (usize, usize)) -> (f64, f64) {
        (self.x, self.tops[row] + STEP * place as f64)
    }

    fn ffn(&self, row: usize) -> (f64, f64) {
        self.head((row, self.rows[row].heads.len()))
    }
}

/// A picture that stands alone, of any size.
pub(super) fn draw(flow: &Flow) -> String {
    let mut out = String::new();
    write_svg(&mut out, flow).expect("text can be written to a string");
    out
}

fn write_svg(out: &mut String, flow: &Flow) -> fmt::Result {
    let least = |rows| Side::new(rows, 0.0, 0.0).bottom - TOP;
    let height = least(&flow.from).max(least(&flow.to));
    let left = Side::new(&flow.from, NAMES, height);
    let right = Side::new(&flow.to, NAMES + MIDDLE, height);
    let (width, height) = (right.x + 1.3 * NAMES, TOP + height);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{NAMES}\" y=\"20\" font-size=\"13\" text-anchor=\"middle\">ancestor</text>\n\
         <text x=\"{}\" y=\"20\" font-size=\"13\" text-anchor=\"middle\">{}</text>\n\
         <text x=\"{}\" y=\"38\" fill=\"#555\" text-anchor=\"middle\">circles: heads; squares: \
         FFNs</text>",
        right.x,
        flow.title,
        NAMES + MIDDLE / 2.0,
    )?;
    for link in &flow.heads {
        curve(out, left.head(link.from), right.head(link.to), link.from.0, "")?;
    }
    for (from, to) in &flow.ffns {
        curve(out, left.ffn(*from), right.ffn(*to), *from, " stroke-dasharray=\"4 3\"")?;
    }
    draw_side(out, &left, -1.0, "end")?;
    draw_side(out, &right, 1.0, "start")?;
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
         fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"0.7\"{dashes}/>"
    )
}

/// Draws heads and FFNs with their names on the outer side.
fn draw_side(out: &mut String, side: &Side<'_>, outwards: f64, anchor: &str) -> fmt::Result {
    for (row, Row { name, heads, has_ffn }) in side.rows.iter().enumerate() {
        let (x, y) = side.ffn(row);
        let (left, top, size) = (x - RADIUS, y - RADIUS, 2.0 * RADIUS);
        if *has_ffn {
            writeln!(
                out,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{size}\" height=\"{size}\" \
                 fill=\"#fff\" stroke=\"#333\"/>"
            )?;
        }
        writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{name}</text>",
            x + outwards * 30.0,
            (side.tops[row] + y) / 2.0 + 4.0
        )?;
        for (place, head) in heads.iter().enumerate() {
            let (x, y) = side.head((row, place));
            writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{RADIUS}\" fill=\"#fff\" \
                 stroke=\"#333\"/><text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\" fill=\"#555\" \
                 text-anchor=\"{anchor}\">{head}</text>",
                x + outwards * 8.0,
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
            has_ffn: true,
        };
        let flow = Flow {
            title: "kept".into(),
            from: vec![row(&["0", "1"]), row(&["0"])],
            to: vec![row(&["1"])],
            heads: vec![Link { from: (0, 0), to: (0, 0) }, Link { from: (0, 1), to: (0, 0) }],
            ffns: vec![(0, 0)],
        };
        let svg = draw(&flow);
        assert_eq!(svg.matches("<circle").count(), 4);
        assert_eq!(svg.matches("<path").count(), 3);
        assert_eq!(svg.matches("stroke-dasharray").count(), 1);
        assert_eq!(svg.matches("<rect").count(), 1 + 3);
    }
}
