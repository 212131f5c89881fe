//! Which head centroid feeds which head of a descendant (Fig. 2), for a descendant with the
//! ancestor's layers and heads.
//!
//! With c centroids in order of priority, slot s inherits centroid s mod c: each feeds ⌊H / c⌋
//! slots, and the first H mod c one more.

use std::fmt::{self, Write};

use super::{
    heads::{Head, heads},
    marks::{marker, rank_class, rank_kind},
    told,
};
use crate::{
    data::{Ancestor, Clusters},
    text::{self, Text},
};

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 128.0;
const MARGIN: f64 = 14.0;
/// Heights of the ancestor's heads and of the descendant's.
const ABOVE: f64 = 30.0;
const BELOW: f64 = 98.0;
/// Heads whose numbers stand side by side without touching.
const MOST_NUMBERS: usize = 16;

/// The ancestor's head that each slot of a descendant layer inherits, with its rank. `[slot]`
fn slots(clusters: &Clusters, num_heads: usize) -> Vec<(usize, usize)> {
    let centroids = clusters.representatives.iter().copied().enumerate();
    centroids.map(|(rank, head)| (head, rank)).cycle().take(num_heads).collect()
}

/// Draws one panel for each layer, and the folded table of what feeds what.
pub(crate) fn draw(out: &mut String, ancestor: &Ancestor) -> fmt::Result {
    let caption = "One panel for each layer, for a descendant of as many layers and heads. Above, \
                   the ancestor's heads in the colour and shape of their cluster, representatives \
                   ringed; below, the descendant's heads, each fed by one representative, in the \
                   order of priority (largest cluster first) and over again.";
    let title = format!("Which head feeds which, from {}.", Text(&ancestor.name));
    super::open(out, &format!("{}-flow", ancestor.id), &title, caption)?;
    writeln!(out, "<div class=\"panels narrow\">")?;
    let layers = heads(ancestor);
    for (layer, (heads, clusters)) in layers.iter().zip(&ancestor.learngene.layers).enumerate() {
        panel(out, layer, heads, &slots(clusters, heads.len()))?;
    }
    writeln!(out, "</div>")?;
    table(out, ancestor, &layers)?;
    writeln!(out, "</figure>")
}

fn panel(out: &mut String, layer: usize, heads: &[Head], slots: &[(usize, usize)]) -> fmt::Result {
    let kept =
        text::count(heads.iter().filter(|h| h.is_representative).count(), "centroid", "centroids");
    let feeds =
        slots.iter().enumerate().map(|(slot, (head, _))| format!("head {slot} from {head}"));
    let words = format!("Layer {layer}, {kept}: {}.", feeds.collect::<Vec<_>>().join(", "));
    let step = (WIDTH - 2.0 * MARGIN) / heads.len() as f64;
    let x = |index: usize| MARGIN + (index as f64 + 0.5) * step;
    write!(
        out,
        "<div class=\"panel\"><h4>Layer {layer}: {} heads, {kept}</h4>\
         <svg {} viewBox=\"0 0 {WIDTH} {HEIGHT}\">",
        heads.len(),
        told(&words),
    )?;
    for (slot, &(head, rank)) in slots.iter().enumerate() {
        let (from, to) = (x(head), x(slot));
        write!(
            out,
            "<path class=\"flow {}\" d=\"M{from:.1},{:.1}C{from:.1},{:.1} {to:.1},{:.1} {to:.1},{:.1}\"/>",
            rank_class(Some(rank)),
            ABOVE + 9.0,
            ABOVE + 36.0,
            BELOW - 32.0,
            BELOW - 7.0,
        )?;
    }
    let radius = (step * 0.24).min(5.0);
    let mark = |rank: Option<usize>, x: f64, y: f64, ring: &str| {
        let (class, mark) = (rank_class(rank), marker(rank.map_or(0, rank_kind), radius));
        format!("<g class=\"{class}\" transform=\"translate({x:.1} {y:.1})\">{mark}{ring}</g>")
    };
    // Where heads are many, every second number would touch the next.
    let every = if heads.len() > MOST_NUMBERS { 2 } else { 1 };
    let number = |index: usize, y: f64| {
        let place = format!("x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"middle\"", x(index));
        if index.is_multiple_of(every) {
            format!("<text class=\"tick\" {place}>{index}</text>")
        } else {
            String::new()
        }
    };
    for head in heads {
        let ring = format!("<circle class=\"ring\" r=\"{:.1}\"/>", radius + 2.8);
        let ring = if head.is_representative { ring } else { String::new() };
        write!(
            out,
            "{}{}",
            mark(head.rank, x(head.index), ABOVE, &ring),
            number(head.index, ABOVE - 14.0)
        )?;
    }
    for (slot, &(_, rank)) in slots.iter().enumerate() {
        write!(out, "{}{}", mark(Some(rank), x(slot), BELOW, ""), number(slot, BELOW + 22.0))?;
    }
    writeln!(out, "</svg></div>")
}

fn table(out: &mut String, ancestor: &Ancestor, layers: &[Vec<Head>]) -> fmt::Result {
    let columns = layers.iter().map(Vec::len).max().unwrap_or(0);
    super::open_numbers(out, &format!("Which head of {} feeds which, as a table", ancestor.name))?;
    write!(
        out,
        "<caption>The ancestor's head that each head of the descendant inherits.</caption><thead><tr>\
         <th scope=\"col\">Layer</th>"
    )?;
    for slot in 0..columns {
        write!(out, "<th scope=\"col\" class=\"n\">Head {slot}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for (layer, (heads, clusters)) in layers.iter().zip(&ancestor.learngene.layers).enumerate() {
        write!(out, "<tr><th scope=\"row\">{layer}</th>")?;
        let slots = slots(clusters, heads.len());
        for slot in 0..columns {
            let head = slots.get(slot).map_or(String::new(), |(head, _)| head.to_string());
            write!(out, "<td class=\"n\">{head}</td>")?;
        }
        writeln!(out, "</tr>")?;
    }
    super::close_numbers(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(representatives: &[usize], num_heads: usize, want: &[usize]) {
        let clusters = Clusters {
            labels: Vec::new(),
            sizes: Vec::new(),
            representatives: representatives.to_vec(),
        };
        let heads: Vec<usize> =
            slots(&clusters, num_heads).into_iter().map(|(head, _)| head).collect();
        assert_eq!(heads, want);
    }

    #[test]
    fn centroids_feed_slots_in_turns() {
        check(&[4, 1, 2], 7, &[4, 1, 2, 4, 1, 2, 4]);
    }

    #[test]
    fn one_centroid_feeds_all() {
        check(&[3], 4, &[3, 3, 3, 3]);
    }

    #[test]
    fn where_all_heads_were_noise_nothing_feeds() {
        check(&[], 4, &[]);
    }
}
