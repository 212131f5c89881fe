//! What every size of a learngene costs, drawn.

use anyhow::anyhow;
use learngene_condensing::{TuneCurve, TunePoint};
use plotters::{coord::Shift, prelude::*};

use crate::text;

const SIZE: (u32, u32) = (760, 500);
const FONT: &str = "sans-serif";
/// Colours that people who see colours differently tell apart: Okabe and Ito, 2008.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
/// Room above the largest error and beside the smallest and largest size, in parts of their range.
const ROOM: f64 = 0.06;

/// A picture that stands alone, of the curves, the chosen point and the default one.
pub(super) fn draw(curve: &TuneCurve) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(drawing)?;
        draw_on(&root, curve)?;
        root.present().map_err(drawing)?;
    }
    // plotters gives a picture no words for those who do not see it.
    let words = format!(
        "<svg role=\"img\" aria-label=\"Size of the learngene against feature error. {}\" ",
        describe(curve)
    );
    Ok(svg.replacen("<svg ", &words, 1))
}

fn describe(curve: &TuneCurve) -> String {
    let words = |name: &str, point: &TunePoint| {
        format!("{name}: {}, error {:.4}.", text::bytes(point.bytes), point.error)
    };
    [words("Chosen", &curve.chosen), words("Default eps", &curve.default)].join(" ")
}

fn draw_on(root: &DrawingArea<SVGBackend<'_>, Shift>, curve: &TuneCurve) -> anyhow::Result<()> {
    let points = || {
        let curves = curve.one_eps.iter().chain(&curve.per_layer);
        curves.chain([&curve.default, &curve.chosen]).map(place)
    };
    let (low, high) = points()
        .map(|(size, _)| size)
        .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), size| {
            (low.min(size), high.max(size))
        });
    let most = points().map(|(_, error)| error).fold(1e-6, f64::max);
    // A curve of one point has no range.
    let room = ROOM * (high - low).max(0.1 * high);
    let mut chart = ChartBuilder::on(root)
        .caption("Size of the learngene against feature error", (FONT, 18))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(low - room..high + room, 0.0..(1.0 + ROOM) * most)
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(format!(
            "numbers stored, MB (the ancestor's: {:.1})",
            curve.ancestor_bytes as f64 / 1e6
        ))
        .y_desc(format!("error of outputs, part of their variance ({} images)", curve.images))
        .draw()
        .map_err(drawing)?;
    for (name, points, colour) in [
        ("an eps for each layer", &curve.per_layer, BLUE),
        ("one eps for all", &curve.one_eps, ORANGE),
    ] {
        chart
            .draw_series(LineSeries::new(points.iter().map(place), colour.stroke_width(2)))
            .map_err(drawing)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        let dots = points.iter().map(|point| Circle::new(place(point), 2, colour.filled()));
        chart.draw_series(dots).map_err(drawing)?;
    }
    let default = &curve.default;
    chart
        .draw_series([Cross::new(place(default), 7, BLACK.stroke_width(2))])
        .map_err(drawing)?
        .label(format!("default, eps {}", super::shorts(&default.setting.eps)))
        .legend(|(x, y)| Cross::new((x + 9, y), 5, BLACK.stroke_width(2)));
    chart
        .draw_series([Circle::new(place(&curve.chosen), 8, BLACK.stroke_width(2))])
        .map_err(drawing)?
        .label("chosen")
        .legend(|(x, y)| Circle::new((x + 9, y), 6, BLACK.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(TRANSPARENT)
        .label_font((FONT, 14))
        .draw()
        .map_err(drawing)
}

/// Megabytes and error.
fn place(point: &TunePoint) -> (f64, f64) {
    (point.bytes as f64 / 1e6, point.error)
}

/// plotters' errors borrow what is drawn on.
fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the curve cannot be drawn: {error}")
}
