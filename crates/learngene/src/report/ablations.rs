//! Choices of the method, one changed at a time.

use std::fmt::{self, Write};

use super::{
    data::{Ablation, Report},
    series::Spread,
    tables::{bar, open_group},
    text::{Decimals, Text, thousands},
};

const COLUMNS: [(&str, &str); 7] = [
    ("Setting", ""),
    ("Learning rate", "n"),
    ("Top-1 (%)", "n"),
    ("kNN (%)", "n"),
    ("Linear probe (%)", "n"),
    ("Learngene", "n"),
    ("Inherited", "n"),
];

impl Ablation {
    /// Top-1 of the last evaluation over seeds.
    fn top1(&self) -> Spread {
        Spread::of(self.runs.iter().map(|run| run.top1))
    }
}

/// Writes one group of rows for each choice, with a sentence on its default.
pub(super) fn write(out: &mut String, report: &Report) -> fmt::Result {
    let decimals = Decimals::of(report.data.test_images);
    write!(
        out,
        "<p class=\"note\" id=\"ablations-note\">Top-1 after fine-tuning, mean ± sample standard \
         deviation over seeds; kNN and linear probe on features before it; parameters of the \
         learngene, and those of them that the descendant inherits. Settings of one choice have the \
         same shape and budget. A learning rate that is underlined was chosen for its setting, on \
         training images held out for that.</p><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Choices of the method\"><table class=\"grouped\" \
         aria-describedby=\"ablations-note\"><thead><tr>"
    )?;
    for (column, class) in COLUMNS {
        write!(out, "<th scope=\"col\" class=\"{class}\">{column}</th>")?;
    }
    writeln!(out, "</tr></thead>")?;
    for table in tables(&report.ablations) {
        let settings: Vec<&Ablation> =
            report.ablations.iter().filter(|ablation| ablation.table == table).collect();
        let Ablation { item, epochs, .. } = settings[0];
        let epochs = if *epochs == 1 { "1 epoch".to_owned() } else { format!("{epochs} epochs") };
        open_group(out, &format!("{table}: {item}, {epochs}"), COLUMNS.len())?;
        for ablation in &settings {
            row(out, ablation, decimals)?;
        }
        writeln!(
            out,
            "<tr class=\"more\"><td colspan=\"{}\">{}</td></tr></tbody>",
            COLUMNS.len(),
            Text(&verdict(&settings, decimals))
        )?;
    }
    writeln!(out, "</table></div>")
}

/// Names of the choices in order of first appearance.
fn tables(ablations: &[Ablation]) -> Vec<&str> {
    let mut tables: Vec<&str> = Vec::new();
    for ablation in ablations {
        if !tables.contains(&ablation.table.as_str()) {
            tables.push(&ablation.table);
        }
    }
    tables
}

fn row(out: &mut String, ablation: &Ablation, decimals: Decimals) -> fmt::Result {
    let default = if ablation.is_default { " (default)" } else { "" };
    writeln!(
        out,
        "<tr><th scope=\"row\">{}{default}</th><td class=\"n\">{}</td><td class=\"n\">{} n = \
         {}</td>{}{}<td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
        Text(&ablation.setting),
        rate(ablation, decimals),
        decimals.spread(ablation.top1()),
        ablation.runs.len(),
        bar(ablation.knn_top1, decimals),
        bar(ablation.linear_top1, decimals),
        thousands(ablation.stored_params),
        thousands(ablation.inherited_params),
    )
}

/// The learning rate, and what the others came to where it was chosen among several.
fn rate(ablation: &Ablation, decimals: Decimals) -> String {
    let chosen = ablation.learning_rate;
    let Some(tried) = &ablation.tried_rates else { return chosen.to_string() };
    let tried: Vec<String> =
        tried.iter().map(|(rate, top1)| format!("{rate}: {} %", decimals.percent(*top1))).collect();
    format!("<abbr title=\"{}\">{chosen}</abbr>", Text(&tried.join(", ")))
}

/// Whether the default measured best, and by how much it did not.
fn verdict(settings: &[&Ablation], decimals: Decimals) -> String {
    let best = settings.iter().max_by(|a, b| a.top1().mean.total_cmp(&b.top1().mean));
    let default = settings.iter().find(|setting| setting.is_default);
    let (Some(best), Some(default)) = (best, default) else { return String::new() };
    if best.is_default {
        return format!("The default, {}, measured best.", default.setting);
    }
    let (best_top1, default_top1) = (best.top1(), default.top1());
    let points = best_top1.mean - default_top1.mean;
    let spread = best_top1.std.into_iter().chain(default_top1.std).fold(0.0, f64::max);
    let doubt = if points <= spread { ", less than the spread over seeds" } else { "" };
    format!(
        "Best measured {}, {} points above the default, {}{doubt}.",
        best.setting,
        decimals.percent(points),
        default.setting
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::AblationRun;

    fn setting(setting: &str, is_default: bool, top1: &[f64]) -> Ablation {
        let run = |(seed, top1): (usize, &f64)| AblationRun {
            seed: seed as u64,
            top1: *top1,
            command: "learngene train".into(),
        };
        Ablation {
            table: "order".into(),
            item: "L6".into(),
            setting: setting.into(),
            is_default,
            epochs: 2,
            learning_rate: 0.01,
            tried_rates: None,
            stored_params: 1000,
            inherited_params: 900,
            knn_top1: 40.0,
            linear_top1: 50.0,
            runs: top1.iter().enumerate().map(run).collect(),
        }
    }

    #[test]
    fn the_verdict_names_the_best() {
        let (low, high) =
            (setting("origin", false, &[40.0, 42.0]), setting("priority", true, &[50.0]));
        let decimals = Decimals::of(1000);
        assert_eq!(verdict(&[&low, &high], decimals), "The default, priority, measured best.");
        let higher = setting("decreasing", false, &[52.0, 53.0]);
        let words = "Best measured decreasing, 2.5 points above the default, priority.";
        assert_eq!(verdict(&[&low, &high, &higher], decimals), words);
        let wide = setting("increasing", false, &[48.0, 57.0]);
        let words = "Best measured increasing, 2.5 points above the default, priority, less than \
                     the spread over seeds.";
        assert_eq!(verdict(&[&high, &wide], decimals), words);
    }

    #[test]
    fn a_chosen_rate_tells_what_the_others_came_to() {
        let decimals = Decimals::of(1000);
        let mut ablation = setting("refit", false, &[50.0]);
        assert_eq!(rate(&ablation, decimals), "0.01");
        ablation.tried_rates = Some([("0.003".into(), 31.5), ("0.01".into(), 40.0)].into());
        let words = "<abbr title=\"0.003: 31.5 %, 0.01: 40.0 %\">0.01</abbr>";
        assert_eq!(rate(&ablation, decimals), words);
    }
}
