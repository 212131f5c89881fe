//! Marks, and how each row of an experiment looks in all its figures.

use std::f64::consts::{FRAC_PI_2, PI};

use crate::{data::Experiment, text::Text};

/// A shape of about the same area for every `kind`, around the origin.
pub(super) fn marker(kind: usize, radius: f64) -> String {
    let shape = |corners: usize, inner: f64, outer: f64, turn: f64| {
        let points: Vec<String> = (0..corners)
            .map(|i| {
                let length = radius * if i % 2 == 0 { outer } else { inner };
                let angle = turn + 2.0 * PI * i as f64 / corners as f64;
                format!("{:.2},{:.2}", length * angle.cos(), length * angle.sin())
            })
            .collect();
        format!(r#"<polygon class="mark" points="{}"/>"#, points.join(" "))
    };
    match kind % 8 {
        0 => format!(r#"<circle class="mark" r="{radius:.2}"/>"#),
        1 => shape(4, 1.25, 1.25, PI / 4.0),
        2 => shape(3, 1.5, 1.5, -FRAC_PI_2),
        3 => shape(4, 1.1, 1.6, -FRAC_PI_2),
        4 => shape(3, 1.5, 1.5, FRAC_PI_2),
        5 => shape(10, 0.68, 1.6, -FRAC_PI_2),
        6 => shape(6, 1.12, 1.12, 0.0),
        _ => shape(8, 0.6, 1.6, PI / 4.0),
    }
}

/// The class that sets the colour of a cluster by its rank; none for noise that was dropped.
pub(super) fn rank_class(rank: Option<usize>) -> String {
    rank.map_or("c0".into(), |rank| format!("c{}", rank % 8 + 1))
}

/// Colours repeat after eight ranks; then shapes are shifted, so that pairs do not repeat.
pub(super) fn rank_kind(rank: usize) -> usize {
    rank + rank / 8
}

/// How a line looks: a class that sets its colour, a marker, and dashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) class: &'static str,
    pub(super) marker: usize,
    pub(super) dashes: &'static str,
}

const STYLES: [Style; 8] = [
    Style { class: "c1", marker: 0, dashes: "none" },
    Style { class: "c2", marker: 3, dashes: "4 2" },
    Style { class: "c3", marker: 4, dashes: "10 3 2 3" },
    Style { class: "c4", marker: 1, dashes: "7 3" },
    Style { class: "c5", marker: 2, dashes: "2 3" },
    Style { class: "c6", marker: 6, dashes: "12 3" },
    Style { class: "c7", marker: 7, dashes: "1 2" },
    Style { class: "c8", marker: 5, dashes: "6 2 1 2 1 2" },
];

impl Style {
    pub(super) fn nth(index: usize) -> Self {
        STYLES[index % STYLES.len()]
    }
}

/// A look for each row. The learngene, from-scratch and Pretraining-Finetuning look alike in every
/// experiment; others take what is left in their order.
pub(super) fn row_styles(experiment: &Experiment) -> Vec<(&str, Style)> {
    let method = |row: &str| {
        let of_row = experiment.run_cells().filter(|(cell, _)| cell.row == row);
        of_row
            .filter_map(|(_, measured)| measured.model.as_ref())
            .map(|model| &*model.method)
            .next()
    };
    let own = |row: &str| match method(row) {
        Some("cluster-learngene") => Some(0),
        Some("from-scratch") => Some(1),
        Some("pretraining-finetuning") => Some(2),
        _ => None,
    };
    let mut taken: Vec<(&str, usize)> = Vec::new();
    for row in experiment.rows() {
        let is_free = |index: &usize| taken.iter().all(|(_, other)| other != index);
        let index = own(row).filter(is_free).or_else(|| (3..).find(is_free)).unwrap_or(0);
        taken.push((row, index));
    }
    taken.into_iter().map(|(row, index)| (row, Style::nth(index))).collect()
}

/// A legend of lines with their marks.
pub(super) fn legend<'a>(lines: impl IntoIterator<Item = (&'a str, Style)>) -> String {
    let entry = |(name, style): (&str, Style)| {
        let Style { class, marker: kind, dashes } = style;
        format!(
            "<li><svg class=\"key {class}\" width=\"36\" height=\"14\" viewBox=\"-18 -7 36 14\" \
             aria-hidden=\"true\"><line class=\"line\" x1=\"-17\" x2=\"17\" \
             stroke-dasharray=\"{dashes}\"/>{}</svg> {}</li>",
            marker(kind, 4.0),
            Text(name),
        )
    };
    format!("<ul class=\"legend\">{}</ul>\n", lines.into_iter().map(entry).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::parse_changed;

    #[test]
    fn methods_look_alike_in_every_experiment() {
        let report = parse_changed(|_| ()).expect("the fixture is a report");
        let look = |id: &str| -> Vec<(String, &'static str)> {
            let experiment = report.experiments.iter().find(|e| e.id == id).expect("it is there");
            row_styles(experiment)
                .into_iter()
                .map(|(row, style)| (row.into(), style.class))
                .collect()
        };
        let pair = |row: &str, class| (row.to_owned(), class);
        let want = [pair("From-Scratch", "c2"), pair("Cluster-Learngene", "c1")];
        assert_eq!(look("table1_sizes"), want);
        // Four orders of one method: all differ.
        let classes: Vec<&str> = look("table5_order").into_iter().map(|(_, class)| class).collect();
        assert_eq!(classes, ["c1", "c4", "c5", "c6"]);
    }
}
