//! Mean attention distance of every head, layer by layer, coloured by cluster, as in Fig. 1c of the
//! paper.

use std::fmt::{self, Write};

use super::{
    axis::{Scale, ticks},
    marks::{marker, rank_class, rank_kind},
    told,
};
use crate::{
    data::{Ancestor, Clusters},
    text::{self, Text, plain},
};

const HEIGHT: f64 = 400.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 352.0;
/// Left edge of the plot in percent of the width; the rest belongs to the layers in equal bands.
const LEFT: f64 = 7.0;
/// Distance between heads that stand side by side, in percent of the width.
const SIDE_STEP: f64 = 1.3;

/// A head as it is drawn.
pub(super) struct Head {
    pub(super) index: usize,
    distance: f64,
    std: f64,
    /// Place of its cluster in the order of priority; none for noise that was dropped.
    pub(super) rank: Option<usize>,
    /// Heads in its cluster.
    size: usize,
    pub(super) is_representative: bool,
}

impl Head {
    /// Larger for heads of larger clusters.
    fn radius(&self) -> f64 {
        2.2 + 1.3 * (self.size as f64).sqrt()
    }

    fn describe(&self) -> String {
        let Self { index, distance, std, size, .. } = self;
        let cluster = match self.rank {
            Some(rank) => {
                format!("cluster {} of {}", rank + 1, text::count(*size, "head", "heads"))
            }
            None => "dropped as noise".into(),
        };
        let role = if self.is_representative { ", representative" } else { "" };
        format!("head {index}: {distance:.2} ± {std:.2} px, {cluster}{role}")
    }
}

/// `[layer][head]`
pub(super) fn heads(ancestor: &Ancestor) -> Vec<Vec<Head>> {
    let learngene = &ancestor.learngene;
    let layers = learngene.mean_attention_distance.iter().zip(&learngene.std);
    layers
        .zip(&learngene.layers)
        .map(|((distances, stds), clusters)| {
            let pairs = distances.iter().zip(stds).enumerate();
            pairs.map(|(index, (&distance, &std))| head(index, distance, std, clusters)).collect()
        })
        .collect()
}

fn head(index: usize, distance: f64, std: f64, clusters: &Clusters) -> Head {
    let Clusters { labels, sizes, representatives } = clusters;
    let label = labels.get(index).copied().flatten();
    let rank = representatives
        .iter()
        .position(|&other| label.is_some() && labels.get(other).copied().flatten() == label);
    let size = rank.and_then(|rank| sizes.get(rank).copied()).unwrap_or(1);
    Head { index, distance, std, rank, size, is_representative: representatives.contains(&index) }
}

/// Draws the figure, its legend and the table of its numbers.
pub(crate) fn draw(out: &mut String, ancestor: &Ancestor) -> fmt::Result {
    let (layers, learngene) = (heads(ancestor), &ancestor.learngene);
    let kept: usize = learngene.layers.iter().map(|clusters| clusters.sizes.len()).sum();
    let all: usize = layers.iter().map(Vec::len).sum();
    let images = text::count(learngene.images as usize, "image", "images");
    let caption = format!(
        "Mean attention distance of its {all} heads over {images} (convention: {}), clustered layer \
         by layer with eps = {} px and min_points = {}. The {kept} ringed heads represent their \
         clusters and make the learngene. Colour and shape tell a cluster's rank in its layer, 1 \
         being the largest; larger marks belong to larger clusters. A dotted line is at the distance \
         of a head that attends to all patches alike.",
        Text(&learngene.convention),
        text::by_layer(&learngene.eps),
        text::thousands(learngene.min_points),
    );
    let title = format!("Head distances and clusters of {}.", Text(&ancestor.name));
    super::open(out, &format!("{}-heads", ancestor.id), &title, &caption)?;
    legend(out, &layers)?;
    plot(out, ancestor, &layers)?;
    table(out, ancestor, &layers)?;
    writeln!(out, "</figure>")
}

fn legend(out: &mut String, layers: &[Vec<Head>]) -> fmt::Result {
    let key = |class: &str, mark: String, words: &str| {
        format!(
            "<li><svg class=\"key {class}\" width=\"18\" height=\"18\" viewBox=\"-9 -9 18 18\" \
             aria-hidden=\"true\">{mark}</svg> {words}</li>"
        )
    };
    let ranks = layers.iter().flatten().filter_map(|head| head.rank).max().map_or(0, |max| max + 1);
    write!(out, "<ul class=\"legend\">")?;
    for rank in 0..ranks {
        let words = format!("cluster {}", rank + 1);
        write!(out, "{}", key(&rank_class(Some(rank)), marker(rank_kind(rank), 4.0), &words))?;
    }
    let ring = "<circle class=\"ring\" r=\"6\"/>".to_owned();
    write!(out, "{}", key("", ring, "representative"))?;
    if layers.iter().flatten().any(|head| head.rank.is_none()) {
        write!(out, "{}", key("c0", marker(0, 3.0), "dropped as noise"))?;
    }
    let line = "<line class=\"chance\" x1=\"-9\" x2=\"9\"/>".to_owned();
    write!(out, "{}", key("", line, "all patches alike"))?;
    writeln!(out, "</ul>")
}

/// Places across are in percent, places down in pixels: so letters and marks keep their size on a
/// phone, which scaling the whole drawing would not allow.
fn plot(out: &mut String, ancestor: &Ancestor, layers: &[Vec<Head>]) -> fmt::Result {
    let uniform = &ancestor.learngene.uniform;
    let of_heads = || layers.iter().flatten().map(|head| head.distance);
    let distances = || of_heads().chain(uniform.iter().copied());
    let highest = distances().fold(0.0, f64::max);
    let lowest = distances().fold(highest, f64::min);
    // Heads that all look far would crowd at the top of a scale from zero.
    let ticks = ticks(if lowest > highest / 2.0 { lowest } else { 0.0 }, highest, 6);
    let down = Scale {
        values: [ticks[0], ticks.last().copied().unwrap_or(highest)],
        places: [BOTTOM, TOP],
    };
    let band = (100.0 - LEFT) / layers.len() as f64;

    let words = format!(
        "Mean attention distance of every head in every layer of {}. {}",
        ancestor.name,
        describe(layers)
    );
    write!(out, "<svg {} width=\"100%\" height=\"{HEIGHT}\">", told(&words))?;
    for tick in ticks {
        let y = down.at(tick);
        write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}%\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}%\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 1.0,
            y + 4.0,
            plain(tick),
        )?;
    }
    for (layer, heads) in layers.iter().enumerate() {
        let centre = LEFT + (layer as f64 + 0.5) * band;
        write!(
            out,
            "<text class=\"tick\" x=\"{centre:.2}%\" y=\"{:.0}\" \
             text-anchor=\"middle\">{layer}</text>",
            BOTTOM + 20.0,
        )?;
        if let Some(&distance) = uniform.get(layer) {
            let (left, right, y) = (centre - band / 2.0, centre + band / 2.0, down.at(distance));
            write!(
                out,
                "<line class=\"chance\" x1=\"{left:.2}%\" x2=\"{right:.2}%\" y1=\"{y:.1}\" \
                 y2=\"{y:.1}\"/>",
            )?;
        }
        for (head, steps) in side_by_side(heads, &down) {
            let x = centre + steps * SIDE_STEP.min(band / 5.0);
            write!(
                out,
                "<svg class=\"head {}\" x=\"{x:.2}%\" y=\"{:.1}\" \
                 overflow=\"visible\"><g><title>Layer {layer}, {}</title>{}{}</g></svg>",
                rank_class(head.rank),
                down.at(head.distance),
                head.describe(),
                marker(head.rank.map_or(0, rank_kind), head.radius()),
                ring(head),
            )?;
        }
    }
    writeln!(
        out,
        "<text class=\"axis\" x=\"{:.1}%\" y=\"{:.0}\" text-anchor=\"middle\">layer of the \
         ancestor, \
         numbered from 0</text><text class=\"axis\" x=\"0\" y=\"12\">mean attention distance \
         (pixels)</text></svg>",
        (LEFT + 100.0) / 2.0,
        HEIGHT - 6.0,
    )
}

fn ring(head: &Head) -> String {
    if head.is_representative {
        format!("<circle class=\"ring\" r=\"{:.1}\"/>", head.radius() + 3.2)
    } else {
        String::new()
    }
}

/// Moves heads at nearly the same distance aside: each with its steps from the middle, to the right
/// where positive.
fn side_by_side<'a>(heads: &'a [Head], down: &Scale) -> Vec<(&'a Head, f64)> {
    let mut sorted: Vec<&Head> = heads.iter().collect();
    sorted.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    let mut placed: Vec<(&Head, f64)> = Vec::new();
    for head in sorted {
        let is_free = |steps: &f64| {
            placed.iter().all(|(other, taken)| {
                let apart = (down.at(head.distance) - down.at(other.distance)).abs();
                taken != steps || apart > head.radius() + other.radius() + 3.0
            })
        };
        let steps = [0.0, 1.0, -1.0, 2.0, -2.0].into_iter().find(is_free).unwrap_or(0.0);
        placed.push((head, steps));
    }
    placed
}

fn describe(layers: &[Vec<Head>]) -> String {
    let sentence = |(layer, heads): (usize, &Vec<Head>)| {
        let distances = heads.iter().map(|head| head.distance);
        let (low, high) =
            (distances.clone().fold(f64::MAX, f64::min), distances.fold(0.0, f64::max));
        let clusters = heads.iter().filter(|head| head.is_representative).count();
        let (heads, clusters) = (
            text::count(heads.len(), "head", "heads"),
            text::count(clusters, "cluster", "clusters"),
        );
        format!("Layer {layer}: {heads} from {low:.1} to {high:.1} px in {clusters}.")
    };
    layers.iter().enumerate().map(sentence).collect::<Vec<_>>().join(" ")
}

fn table(out: &mut String, ancestor: &Ancestor, layers: &[Vec<Head>]) -> fmt::Result {
    let columns = layers.iter().map(Vec::len).max().unwrap_or(0);
    super::open_numbers(out, &format!("Distances and clusters of {}, numbers", ancestor.name))?;
    write!(
        out,
        "<caption>Mean attention distance ± standard deviation over images, in pixels; the rank of \
         the head's cluster in its layer; representatives in bold with a star. All alike: the \
         distance of a head that attends to all patches alike.</caption><thead><tr>\
         <th scope=\"col\">Layer</th><th scope=\"col\" class=\"n\">All alike</th>"
    )?;
    for head in 0..columns {
        write!(out, "<th scope=\"col\" class=\"n\">Head {head}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for (layer, heads) in layers.iter().enumerate() {
        let alike =
            ancestor.learngene.uniform.get(layer).map_or("–".into(), |d| format!("{d:.2}"));
        write!(out, "<tr><th scope=\"row\">{layer}</th><td class=\"n\">{alike}</td>")?;
        for head in heads {
            let rank = head.rank.map_or("dropped".into(), |rank| format!("cluster {}", rank + 1));
            let (open, close) =
                if head.is_representative { ("<strong>", " ★</strong>") } else { ("", "") };
            write!(
                out,
                "<td class=\"n\">{open}{:.2} ± {:.2}<br>{rank}{close}</td>",
                head.distance, head.std
            )?;
        }
        for _ in heads.len()..columns {
            write!(out, "<td></td>")?;
        }
        writeln!(out, "</tr>")?;
    }
    super::close_numbers(out)
}
