//! Scales, ticks and the lines behind a plot.

use std::fmt::{self, Write};

use crate::text::plain;

/// A straight scale from values to places on the page.
pub(super) struct Scale {
    pub(super) values: [f64; 2],
    pub(super) places: [f64; 2],
}

impl Scale {
    pub(super) fn at(&self, value: f64) -> f64 {
        let [from, to] = self.values;
        let [start, end] = self.places;
        start + (value - from) / (to - from) * (end - start)
    }

    /// The same for a value beyond the ends of the scale, drawn at its end.
    pub(super) fn within(&self, value: f64) -> f64 {
        let [from, to] = self.values;
        self.at(value.clamp(from, to))
    }
}

/// A scale with its ticks and what they count.
pub(super) struct Axis {
    pub(super) scale: Scale,
    ticks: Vec<f64>,
    /// What a tick's number is multiplied by, such as a million.
    unit: f64,
    title: String,
}

impl Axis {
    /// An axis as long as its ticks, between two places.
    pub(super) fn new(ticks: Vec<f64>, places: [f64; 2], unit: f64, title: &str) -> Self {
        let values = [ticks[0], ticks[ticks.len() - 1]];
        Self { scale: Scale { values, places }, ticks, unit, title: title.into() }
    }

    /// An axis for counts of parameters, in thousands or millions.
    pub(super) fn of_params(highest: f64, places: [f64; 2], what: &str) -> Self {
        let (unit, name) = if highest < 1e6 { (1e3, "thousands") } else { (1e6, "millions") };
        Self::new(ticks(0.0, highest, 6), places, unit, &format!("{what} ({name})"))
    }
}

/// Draws lines with numbers at the left, numbers below, and the titles of both axes.
pub(super) fn draw_axes(out: &mut String, across: &Axis, down: &Axis) -> fmt::Result {
    let ([left, right], [bottom, _]) = (across.scale.places, down.scale.places);
    for &tick in &down.ticks {
        let y = down.scale.at(tick);
        write!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + 4.0,
            plain(tick / down.unit),
        )?;
    }
    for &tick in &across.ticks {
        write!(
            out,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            across.scale.at(tick),
            bottom + 17.0,
            plain(tick / across.unit),
        )?;
    }
    write!(
        out,
        "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text class=\"axis\" x=\"0\" y=\"12\">{}</text>",
        (left + right) / 2.0,
        bottom + 34.0,
        across.title,
        down.title,
    )
}

/// Round numbers in steps of 1, 2 or 5 times a power of ten, from at most `low` to at least `high`.
pub(super) fn ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    // One number alone still needs a span.
    let high = if high > low { high } else { low + 1.0 };
    let power = 10f64.powf(((high - low) / most as f64).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0].map(|step| step * power);
    let range = |step: f64| ((low / step).floor() as i64, (high / step).ceil() as i64);
    let fits = |step: &f64| range(*step).1 - range(*step).0 <= most as i64;
    let step = steps.into_iter().find(fits).unwrap_or(steps[4]);
    let (first, last) = range(step);
    (first..=last).map(|i| i as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_ticks(low: f64, high: f64, want: &[&str]) {
        let texts: Vec<String> = ticks(low, high, 5).into_iter().map(plain).collect();
        assert_eq!(texts, want);
    }

    #[test]
    fn ticks_are_round_and_enclose() {
        check_ticks(0.0, 15.3, &["0", "5", "10", "15", "20"]);
        check_ticks(31.0, 58.0, &["30", "40", "50", "60"]);
        check_ticks(0.0, 0.3, &["0", "0.1", "0.2", "0.3"]);
    }

    #[test]
    fn ticks_of_one_number_still_span() {
        check_ticks(50.0, 50.0, &["50", "50.2", "50.4", "50.6", "50.8", "51"]);
    }

    #[test]
    fn ticks_are_few() {
        for high in [0.003, 0.7, 1.0, 9.0, 11.0, 49.0, 99.0, 101.0, 12_345.0] {
            assert!(ticks(0.0, high, 5).len() <= 6, "{high}");
            assert!(ticks(-high, high, 5).len() <= 6, "{high}");
        }
    }
}
