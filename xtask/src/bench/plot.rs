//! Plots as SVG.

use anyhow::{Context, Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::study::Study;

/// Colours that people who see colours differently tell apart: Okabe and Ito, 2008.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
];
const GREY: RGBColor = RGBColor(110, 110, 110);
const FONT: &str = "sans-serif";

/// A value of a group, of one of several series.
pub(super) struct Bar {
    pub(super) group: String,
    pub(super) series: String,
    pub(super) value: f64,
}

/// Horizontal bars, group by group. With a reference they begin at zero and a line marks it; without
/// one the scale is logarithmic.
///
/// # Errors
/// When there is no bar, or a value is not positive.
pub(super) fn bars(
    title: &str,
    axis: &str,
    bars: &[Bar],
    reference: Option<f64>,
) -> Result<String> {
    const WIDTH: i32 = 720;
    const LEFT: i32 = 210;
    const RIGHT: i32 = 70;
    const TOP: i32 = 70;
    const ROW: i32 = 18;
    const GAP: i32 = 8;

    let values = || bars.iter().map(|bar| bar.value);
    let largest = values().fold(f64::NAN, f64::max);
    let smallest = values().fold(f64::NAN, f64::min);
    if !(smallest > 0.0 && largest.is_finite()) {
        return Err(anyhow!("a plot wants positive numbers, got {smallest} to {largest}"));
    }
    let share = |value: f64| match reference {
        Some(reference) => value / largest.max(reference),
        // From a little below the smallest, so that its bar is seen too.
        None => (value / smallest * 1.5).ln() / (largest / smallest * 1.5).ln(),
    };
    let place = |value: f64| LEFT + (share(value) * f64::from(WIDTH - LEFT - RIGHT)).round() as i32;

    let series = distinct(bars.iter().map(|bar| bar.series.as_str()));
    let groups = distinct(bars.iter().map(|bar| bar.group.as_str()));
    let height = TOP + bars.len() as i32 * ROW + groups.len() as i32 * GAP + 30;
    draw((WIDTH as u32, height as u32), |root| {
        write(root, title, (WIDTH / 2, 10), 17, HPos::Center)?;
        write(root, axis, (LEFT, height - 22), 12, HPos::Left)?;
        for (index, name) in series.iter().enumerate() {
            let x = LEFT + 170 * index as i32;
            rectangle(root, [(x, 42), (x + 12, 54)], COLOURS[index % COLOURS.len()])?;
            write(root, name, (x + 18, 41), 13, HPos::Left)?;
        }
        let mut y = TOP;
        for group in groups {
            write(root, group, (LEFT - 10, y + 1), 13, HPos::Right)?;
            for bar in bars.iter().filter(|bar| bar.group == group) {
                let colour = series.iter().position(|name| *name == bar.series).unwrap_or(0);
                let end = place(bar.value);
                rectangle(root, [(LEFT, y), (end, y + ROW - 4)], COLOURS[colour % COLOURS.len()])?;
                write(root, &number(bar.value), (end + 6, y + 1), 12, HPos::Left)?;
                y += ROW;
            }
            y += GAP;
        }
        if let Some(reference) = reference {
            let x = place(reference);
            let line = PathElement::new(vec![(x, TOP - 6), (x, y)], BLACK.stroke_width(1));
            root.draw(&line).map_err(told)?;
        }
        Ok(())
    })
}

/// Measured times and what is fitted to them, two studies in a row.
///
/// # Errors
/// When a study has no point, or a number is not positive.
pub(super) fn studies(studies: &[Study]) -> Result<String> {
    const PANEL: (u32, u32) = (420, 320);
    let rows = studies.len().div_ceil(2).max(1);
    draw((2 * PANEL.0, rows as u32 * PANEL.1), |root| {
        for (panel, study) in root.split_evenly((rows, 2)).iter().zip(studies) {
            study_panel(panel, study)?;
        }
        Ok(())
    })
}

fn study_panel(panel: &DrawingArea<SVGBackend, Shift>, study: &Study) -> Result<()> {
    let greatest = |value: &dyn Fn(&super::study::Point) -> f64| {
        let greatest = study.points.iter().map(value).fold(0.0, f64::max);
        (greatest > 0.0 && greatest.is_finite())
            .then_some(1.08 * greatest)
            .with_context(|| format!("{} has no positive numbers", study.study))
    };
    let (x, y) = (greatest(&|point| point.x)?, greatest(&|point| point.ms)?);
    let mut chart = ChartBuilder::on(panel)
        .caption(&study.study, (FONT, 15))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..x, 0.0..y)
        .map_err(told)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(5)
        .y_labels(6)
        .x_desc(&study.x)
        .y_desc("milliseconds")
        .x_label_formatter(&|value| tick(*value))
        .y_label_formatter(&|value| tick(*value))
        .draw()
        .map_err(told)?;
    let steps = (0..=40).map(|step| x * f64::from(step) / 40.0);
    let fit = steps.map(|x| (x, study.fit.at(x)));
    chart.draw_series(LineSeries::new(fit, &GREY)).map_err(told)?;
    let points = study.points.iter().map(|p| Circle::new((p.x, p.ms), 4, COLOURS[0].filled()));
    chart.draw_series(points).map_err(told)?;
    Ok(())
}

fn draw(
    size: (u32, u32),
    content: impl FnOnce(&DrawingArea<SVGBackend, Shift>) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(told)?;
        content(&root)?;
        root.present().map_err(told)?;
    }
    Ok(svg)
}

fn write(
    root: &DrawingArea<SVGBackend, Shift>,
    text: &str,
    place: (i32, i32),
    size: u32,
    align: HPos,
) -> Result<()> {
    let style = (FONT, size).into_font().color(&BLACK).pos(Pos::new(align, VPos::Top));
    root.draw(&Text::new(text.to_owned(), place, style)).map_err(told)
}

fn rectangle(
    root: &DrawingArea<SVGBackend, Shift>,
    corners: [(i32, i32); 2],
    colour: RGBColor,
) -> Result<()> {
    root.draw(&Rectangle::new(corners, colour.filled())).map_err(told)
}

/// plotters' errors borrow what is drawn on.
fn told(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a plot cannot be drawn: {error}")
}

/// In the order of their first appearance.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// Three significant digits: `0.94`, `12.3`, `1270`, `1.3e9`.
fn number(value: f64) -> String {
    match value {
        1e6.. => format!("{value:.1e}"),
        100.0..1e6 => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A round number without a rest of the arithmetic: `0.3`, `50`, `1.0e9`.
fn tick(value: f64) -> String {
    if value >= 1e6 { format!("{value:.1e}") } else { format!("{}", (value * 1e3).round() / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(value: f64) -> Bar {
        Bar { group: "forward <nano>".into(), series: "flex".into(), value }
    }

    #[test]
    fn bars_carry_their_numbers_and_names() {
        let svg = bars("title", "ratio", &[bar(2.0), bar(0.5)], Some(1.0)).expect("positive");
        for text in ["title", "ratio", "2.00", "0.50", "flex", "forward &lt;nano&gt;"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
    }

    #[test]
    fn nothing_and_what_is_not_positive_is_refused() {
        for values in [&[][..], &[0.0], &[1.0, f64::INFINITY]] {
            let drawn: Vec<Bar> = values.iter().copied().map(bar).collect();
            assert!(bars("title", "ms", &drawn, None).is_err(), "{values:?}");
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        let texts = [0.944, 12.34, 1270.4, 1.26e9].map(number);
        assert_eq!(texts, ["0.94", "12.3", "1270", "1.3e9"]);
        assert_eq!([0.0, 0.1 + 0.2, 50.0, 1e9].map(tick), ["0", "0.3", "50", "1.0e9"]);
    }
}
