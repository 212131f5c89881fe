//! Accuracy against parameters (Fig. 3), and values against the size of the learngene.

use std::fmt::{self, Write};

use super::{
    axis::{Axis, draw_axes, ticks},
    labels::place,
    marks::{Style, legend, marker, row_styles},
    told,
};
use crate::{
    data::{Cell, Experiment, Measure, Measured},
    grid::unique,
    stats::Spread,
    text::{Text, capital, shared_start, thousands},
};

const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 36.0;
const RIGHT: f64 = 338.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 260.0;

/// One line of a figure.
struct Line<'a> {
    name: &'a str,
    style: Style,
    /// In the order of their places.
    dots: Vec<Dot<'a>>,
}

struct Dot<'a> {
    name: &'a str,
    params: u64,
    value: Spread,
}

/// What a figure shows.
struct Figure<'a> {
    id: String,
    /// Whose descendants it shows, such as `, desk ViT`, where that is not all.
    of: String,
    /// What stands across, such as `parameters of the descendant`.
    across: &'static str,
    measure: Measure,
    experiment: &'a Experiment,
    lines: Vec<Line<'a>>,
}

/// Draws top-1 over parameters, a figure for each ancestor and a line for each row.
pub(crate) fn draw_scale(out: &mut String, experiment: &Experiment) -> fmt::Result {
    let model = |(_, measured): (_, &'_ Measured)| Some(measured.model.as_ref()?.ancestor.clone());
    let ancestors = unique(experiment.run_cells().filter_map(model));
    writeln!(out, "<div class=\"pair\">")?;
    for (measure, ancestor) in
        experiment.measures().into_iter().flat_map(|m| ancestors.iter().map(move |a| (m, a)))
    {
        let line = |(name, style)| {
            let of_row =
                experiment.run_cells().filter(|(c, _)| c.row == name && c.measure == measure);
            let params = |measured: &Measured| {
                let model = measured.model.as_ref().filter(|model| model.ancestor == *ancestor)?;
                Some(model.params)
            };
            Line { name, style, dots: dots(of_row, params, |cell| &cell.column) }
        };
        let lines = row_styles(experiment).into_iter().map(line);
        let mut lines: Vec<Line> = lines.filter(|line| !line.dots.is_empty()).collect();
        let shared = shared_start(lines.iter().flat_map(|line| &line.dots).map(|dot| dot.name));
        for dot in lines.iter_mut().flat_map(|line| &mut line.dots) {
            dot.name = &dot.name[shared.len()..];
        }
        let of = match shared.trim_end_matches(", ") {
            "" => String::new(),
            name => format!(", {name}"),
        };
        let title = format!("against parameters of the descendant{of}");
        let figure = Figure {
            id: format!("{}-scale-{}-{ancestor}", experiment.id, measure.id()),
            of,
            across: "parameters",
            measure,
            experiment,
            lines,
        };
        draw(out, &figure, &title, "column")?;
    }
    writeln!(out, "</div>")
}

/// Draws values over the size of the learngene, a figure for each measure and a line for each row.
pub(crate) fn draw_sizes(out: &mut String, experiment: &Experiment) -> fmt::Result {
    writeln!(out, "<div class=\"pair\">")?;
    for measure in experiment.measures() {
        let line = |(name, style)| {
            let of_row =
                experiment.run_cells().filter(|(c, _)| c.row == name && c.measure == measure);
            let params = |measured: &Measured| measured.model.as_ref()?.stored_params;
            Line { name, style, dots: dots(of_row, params, |cell| &cell.column) }
        };
        let lines = row_styles(experiment).into_iter().map(line);
        let figure = Figure {
            id: format!("{}-sizes-{}", experiment.id, measure.id()),
            of: String::new(),
            across: "values in the learngene",
            measure,
            experiment,
            lines: lines.filter(|line| !line.dots.is_empty()).collect(),
        };
        draw(out, &figure, "against the size of the learngene", "column")?;
    }
    writeln!(out, "</div>")
}

fn dots<'a>(
    cells: impl Iterator<Item = (&'a Cell, &'a Measured)>,
    params: impl Fn(&Measured) -> Option<u64>,
    name: impl Fn(&'a Cell) -> &'a str,
) -> Vec<Dot<'a>> {
    let dot = |(cell, measured): (&'a Cell, &Measured)| {
        let params = params(measured)?;
        Some(Dot { name: name(cell), params, value: measured.spread() })
    };
    let mut dots: Vec<Dot> = cells.filter_map(dot).collect();
    dots.sort_by_key(|dot| dot.params);
    dots
}

fn draw(out: &mut String, figure: &Figure, against: &str, names: &str) -> fmt::Result {
    if figure.lines.is_empty() {
        return Ok(());
    }
    let title = figure.measure.title();
    let spread = figure.lines.iter().flat_map(|line| &line.dots).any(|dot| dot.value.std.is_some());
    let bars = if spread { " Bars are ± one sample standard deviation over seeds." } else { "" };
    let caption = format!(
        "{}. Names at points are those of the {names} in the table.{bars}",
        figure.measure.describe()
    );
    super::open(out, &figure.id, &format!("{} {against}.", capital(title)), &caption)?;
    write!(out, "{}", legend(figure.lines.iter().map(|line| (line.name, line.style))))?;
    plot(out, figure)?;
    numbers(out, figure)?;
    writeln!(out, "</figure>")
}

fn plot(out: &mut String, figure: &Figure) -> fmt::Result {
    let dots = || figure.lines.iter().flat_map(|line| &line.dots);
    let low = dots().map(|dot| edge(dot.value, -1.0)).fold(f64::MAX, f64::min).max(0.0);
    let high = dots().map(|dot| edge(dot.value, 1.0)).fold(f64::MIN, f64::max);
    let params = dots().map(|dot| dot.params as f64).fold(0.0, f64::max);
    let across = Axis::of_params(params, [LEFT, RIGHT], figure.across);
    let down = Axis::new(ticks(low, high, 6), [BOTTOM, TOP], 1.0, figure.measure.title());
    let words =
        format!("{} against {}. {}", figure.measure.title(), figure.across, describe(figure));
    write!(out, "<svg class=\"plot\" {} viewBox=\"0 0 {WIDTH} {HEIGHT}\">", told(&words))?;
    draw_axes(out, &across, &down)?;
    let (mut named, mut lines) = (Vec::new(), Vec::new());
    for line in &figure.lines {
        let Style { class, marker: kind, dashes } = line.style;
        let at = |dot: &Dot| (across.scale.at(dot.params as f64), down.scale.at(dot.value.mean));
        let places: Vec<(f64, f64)> = line.dots.iter().map(at).collect();
        lines.extend(places.windows(2).map(|pair| [pair[0], pair[1]]));
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        write!(
            out,
            "<g class=\"{class}\"><polyline class=\"line\" points=\"{}\" \
             stroke-dasharray=\"{dashes}\"/>",
            path.join(" "),
        )?;
        for dot in &line.dots {
            let (x, y) = at(dot);
            let ends = [1.0, -1.0].map(|side| down.scale.within(edge(dot.value, side)));
            write!(
                out,
                "<path class=\"error\" d=\"M{x:.1},{:.1}V{:.1}\"/>\
                 <g transform=\"translate({x:.1} {y:.1})\"><title>{}, {}: {}</title>{}</g>",
                ends[0],
                ends[1],
                Text(line.name),
                Text(dot.name),
                figure.experiment.digits(figure.measure).with_unit(dot.value),
                marker(kind, 4.0),
            )?;
            named.push((x, y, dot.name));
            lines.push([(x, ends[0]), (x, ends[1])]);
        }
        write!(out, "</g>")?;
    }
    for label in place(&named, &lines, [LEFT, WIDTH, TOP - 14.0, BOTTOM]) {
        write!(
            out,
            "<text class=\"tick halo\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            label.x,
            label.y,
            Text(&label.text),
        )?;
    }
    writeln!(out, "</svg>")
}

/// One standard deviation above or below the mean.
fn edge(value: Spread, side: f64) -> f64 {
    value.mean + side * value.std.unwrap_or(0.0)
}

fn describe(figure: &Figure) -> String {
    let digits = figure.experiment.digits(figure.measure);
    let line = |line: &Line| {
        let dot = |dot: &Dot| {
            format!("{} with {}: {}", dot.name, thousands(dot.params), digits.with_unit(dot.value))
        };
        format!("{}: {}.", line.name, line.dots.iter().map(dot).collect::<Vec<_>>().join(", "))
    };
    figure.lines.iter().map(line).collect::<Vec<_>>().join(" ")
}

fn numbers(out: &mut String, figure: &Figure) -> fmt::Result {
    let name = figure.experiment.short_name();
    super::open_numbers(
        out,
        &format!("Numbers of the figure, {name}, {}{}", figure.measure.title(), figure.of),
    )?;
    write!(out, "<thead><tr>")?;
    for (head, class) in
        [("Line", ""), ("Point", ""), (figure.across, "n"), (figure.measure.title(), "n")]
    {
        write!(out, "<th scope=\"col\" class=\"{class}\">{}</th>", capital(head))?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    let digits = figure.experiment.digits(figure.measure);
    for line in &figure.lines {
        for dot in &line.dots {
            writeln!(
                out,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td></tr>",
                Text(line.name),
                Text(dot.name),
                thousands(dot.params),
                digits.spread(dot.value),
            )?;
        }
    }
    super::close_numbers(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_share_whole_parts() {
        let of = |names: &[&'static str]| shared_start(names.iter().copied());
        assert_eq!(of(&["desk ViT, 6 layers", "desk ViT, 9 layers"]), "desk ViT, ");
        assert_eq!(of(&["a, b, 6", "a, b, 9", "a, c, 9"]), "a, ");
        assert_eq!(of(&["a, 6", "b, 6"]), "");
        assert_eq!(of(&["L6", "L12"]), "");
        assert_eq!(of(&[]), "");
    }
}
