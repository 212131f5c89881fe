//! Learning curves: top-1 against epochs, one small panel a shape, on one scale.

use std::fmt::{self, Write};

use super::{Axis, Style, draw_axes, marker, method_legend, name, tick_text, ticks};
use crate::report::{
    data::{Data, Recipe},
    series::{Series, Spread, items},
    text::{Decimals, Text, count},
};

const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 30.0;
const RIGHT: f64 = 304.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 240.0;
/// Least distance between the numbers at the ends of curves.
const LINE: f64 = 13.0;

/// The scales and words that all panels share.
struct Axes {
    across: Axis,
    down: Axis,
    /// Top-1 of guessing, in percent.
    chance: f64,
    decimals: Decimals,
}

impl Axes {
    fn new(series: &[Series], data: &Data) -> Self {
        let points: Vec<(f64, Spread)> = series.iter().flat_map(Series::curve).collect();
        let low = points.iter().map(|(_, top1)| top1.mean - top1.std.unwrap_or(0.0));
        let high = points.iter().map(|(_, top1)| top1.mean + top1.std.unwrap_or(0.0));
        let last = points.iter().map(|(epoch, _)| *epoch).fold(0.0, f64::max);
        // A spread may reach beyond what a percentage can be; the axis does not.
        let top1 =
            ticks(low.fold(100.0, f64::min).max(0.0), high.fold(0.0, f64::max).min(100.0), 6);
        // Curves reach the right edge, whether or not a round number lies there.
        let epochs = ticks(0.0, last, 6).into_iter().filter(|epoch| *epoch < last).chain([last]);
        Self {
            across: Axis::new(epochs.collect(), [LEFT, RIGHT], 1.0, "epochs"),
            down: Axis::new(top1, [BOTTOM, TOP], 1.0, "top-1 (%)"),
            chance: 100.0 / data.classes as f64,
            decimals: Decimals::of(data.test_images),
        }
    }

    fn shows_chance(&self) -> bool {
        let [least, most] = self.down.scale.values;
        (least..=most).contains(&self.chance)
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let points = points.map(|(epoch, top1)| {
            let [least, most] = self.down.scale.values;
            let y = self.down.scale.at(top1.clamp(least, most));
            format!("{:.1},{y:.1}", self.across.scale.at(epoch))
        });
        points.collect::<Vec<_>>().join(" ")
    }
}

/// Draws the panels with their legend.
pub(in crate::report) fn draw(
    out: &mut String,
    series: &[Series],
    data: &Data,
    recipe: &Recipe,
) -> fmt::Result {
    let axes = Axes::new(series, data);
    let seeds = series.iter().map(|series| series.rows.len()).max().unwrap_or(1);
    let band = match seeds {
        1 => "One seed each: the spread between seeds is unknown.".to_owned(),
        n => format!(
            "Means over up to {}; bands are ± one sample standard deviation.",
            count(n, "seed", "seeds")
        ),
    };
    let chance = if axes.shows_chance() {
        format!(" The dotted line is chance, {:.1} %.", axes.chance)
    } else {
        String::new()
    };
    write!(
        out,
        "<figure id=\"curves\"><figcaption><strong>Figure 2. Learning curves.</strong> Top-1 on \
         {} test \
         images against epochs of {} training images, {} a run. {band}{chance} Numbers stand at \
         the last \
         evaluation; all are in the rows of the table above.</figcaption>{}<div class=\"panels\">",
        crate::report::text::thousands(data.test_images),
        crate::report::text::thousands(data.train_images),
        count(recipe.steps as usize, "step", "steps"),
        method_legend(series),
    )?;
    for (index, item) in items(series).into_iter().enumerate() {
        let of_item: Vec<&Series> = series.iter().filter(|series| series.item() == item).collect();
        panel(out, index, item, &of_item, &axes)?;
    }
    writeln!(out, "</div></figure>")
}

fn panel(
    out: &mut String,
    index: usize,
    item: &str,
    series: &[&Series],
    axes: &Axes,
) -> fmt::Result {
    let describe = |series: &&Series| {
        let name = name(series.method(), series.projection());
        format!("{name} ends at {} %.", axes.decimals.spread(series.final_top1()))
    };
    let sentences: Vec<String> = series.iter().map(describe).collect();
    write!(
        out,
        "<div class=\"panel\"><h3>{}</h3><svg role=\"img\" aria-labelledby=\"curve-{index}-title \
         curve-{index}-desc\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\"><title id=\"curve-{index}-title\">Top-1 against epochs, \
         {}</title>\
         <desc id=\"curve-{index}-desc\">{}</desc>",
        Text(item),
        Text(item),
        Text(&sentences.join(" ")),
    )?;
    draw_axes(out, &axes.across, &axes.down)?;
    chance(out, axes)?;
    for series in series {
        band(out, series, axes)?;
    }
    for series in series {
        curve(out, series, axes)?;
    }
    end_numbers(out, series, axes)?;
    writeln!(out, "</svg></div>")
}

/// The line of guessing, where it lies in the panel.
fn chance(out: &mut String, axes: &Axes) -> fmt::Result {
    if !axes.shows_chance() {
        return Ok(());
    }
    let y = axes.down.scale.at(axes.chance);
    write!(out, "<line class=\"chance\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")
}

fn band(out: &mut String, series: &Series, axes: &Axes) -> fmt::Result {
    let curve = series.curve();
    let edge = |side: f64| {
        let point =
            move |(epoch, top1): &(f64, Spread)| Some((*epoch, top1.mean + side * top1.std?));
        curve.iter().filter_map(point).collect::<Vec<_>>()
    };
    let (upper, lower) = (edge(1.0), edge(-1.0));
    if upper.is_empty() {
        return Ok(());
    }
    let outline = axes.path(upper.into_iter().chain(lower.into_iter().rev()));
    let class = Style::of(series.method(), series.projection()).class;
    write!(out, "<polygon class=\"band {class}\" points=\"{outline}\"/>")
}

fn curve(out: &mut String, series: &Series, axes: &Axes) -> fmt::Result {
    let Style { class, marker: kind, dashes } = Style::of(series.method(), series.projection());
    let name = name(series.method(), series.projection());
    let curve = series.curve();
    let path = axes.path(curve.iter().map(|(epoch, top1)| (*epoch, top1.mean)));
    write!(
        out,
        "<g class=\"{class}\"><polyline class=\"line\" points=\"{path}\" \
         stroke-dasharray=\"{dashes}\"/>"
    )?;
    for (epoch, top1) in curve {
        write!(
            out,
            "<g transform=\"translate({:.1} {:.1})\"><title>{}, epoch {}: {} %</title>{}</g>",
            axes.across.scale.at(epoch),
            axes.down.scale.at(top1.mean),
            Text(&name),
            tick_text(epoch),
            axes.decimals.spread(top1),
            marker(kind, 3.0),
        )?;
    }
    write!(out, "</g>")
}

/// The final means at the right, moved apart where they would cover each other.
fn end_numbers(out: &mut String, series: &[&Series], axes: &Axes) -> fmt::Result {
    let mut ends: Vec<(f64, &&Series)> = series
        .iter()
        .map(|series| (axes.down.scale.at(series.final_top1().mean), series))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let wanted: Vec<f64> = ends.iter().map(|(y, _)| *y).collect();
    for ((_, series), y) in ends.iter().zip(spread_out(&wanted, BOTTOM)) {
        let style = Style::of(series.method(), series.projection());
        write!(
            out,
            "<text class=\"end {}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            style.class,
            RIGHT + 9.0,
            y + 4.0,
            axes.decimals.percent(series.final_top1().mean),
        )?;
    }
    Ok(())
}

/// Places for sorted lines of text: at least a line apart, none below `lowest` where they fit.
fn spread_out(wanted: &[f64], lowest: f64) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::new();
    for &y in wanted {
        let least = places.last().map_or(f64::MIN, |last| last + LINE);
        places.push(y.max(least));
    }
    let mut most = lowest;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LINE;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_the_ends_do_not_cover_each_other() {
        assert_eq!(spread_out(&[20.0, 21.0, 60.0], 230.0), [20.0, 33.0, 60.0]);
        assert_eq!(spread_out(&[225.0, 229.0, 230.0], 230.0), [204.0, 217.0, 230.0]);
    }
}
