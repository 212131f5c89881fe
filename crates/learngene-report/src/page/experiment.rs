//! The section of one experiment.

use std::fmt::{self, Write};

use super::{commands, models, runs, table};
use crate::{
    data::{Experiment, Kind, Measure, Report},
    figure::{attention, curves, flow, heads, points},
    findings::Finding,
    text::{Text, count, thousands},
};

pub(super) fn write(
    out: &mut String,
    experiment: &Experiment,
    report: &Report,
    findings: &[Finding],
) -> fmt::Result {
    if !experiment.about.is_empty() {
        writeln!(out, "<p class=\"lead\">{}</p>", Text(&experiment.about))?;
    }
    conditions(out, experiment)?;
    let own: Vec<&Finding> = findings.iter().filter(|f| f.experiment == experiment.id).collect();
    if !own.is_empty() {
        writeln!(out, "<ul class=\"findings own\">")?;
        for finding in own {
            writeln!(
                out,
                "<li>{} {} <span>{}</span></li>",
                finding.verdict.badge(),
                Text(&finding.claim),
                Text(&finding.evidence),
            )?;
        }
        writeln!(out, "</ul>")?;
    }
    figures(out, experiment, report)?;
    let is_drawn = experiment.kind == Kind::Attention && experiment.run_cells().next().is_some();
    if is_drawn {
        // Maps are their own numbers.
        table::left_out(out, experiment)?;
    } else if !experiment.cells.is_empty() {
        if experiment.kind != Kind::Table {
            writeln!(out, "<h3>Numbers</h3>")?;
        }
        table::write(out, experiment, report.scale)?;
    }
    if experiment.kind != Kind::Curves && curves::any(experiment) {
        let name = Text(experiment.short_name());
        writeln!(
            out,
            "<details><summary>Learning curves of {name}</summary><h3>Learning curves</h3>"
        )?;
        curves::draw(out, experiment)?;
        writeln!(out, "</details>")?;
    }
    models::write(out, experiment, report)?;
    runs::write(out, experiment)?;
    full_scale(out, experiment)
}

/// On what and how models are trained here.
fn conditions(out: &mut String, experiment: &Experiment) -> fmt::Result {
    let data = experiment.data.as_ref().map(|data| {
        format!(
            "{}: {} training and {} test images, {}",
            data.name,
            thousands(data.train_images),
            thousands(data.test_images),
            count(data.classes as usize, "class", "classes"),
        )
    });
    let recipe = experiment.recipe.as_ref().map(|recipe| {
        let batches = format!("in batches of {}", thousands(recipe.batch_size));
        match experiment.steps() {
            Some(steps) if steps.start() < steps.end() => format!(
                "{} to {} steps {batches}, told in each cell",
                thousands(*steps.start()),
                thousands(*steps.end())
            ),
            _ => format!(
                "{}, {} {batches}, by {}",
                count(recipe.epochs as usize, "epoch", "epochs"),
                count(recipe.steps as usize, "step", "steps"),
                recipe.file,
            ),
        }
    });
    let text: Vec<String> = data.into_iter().chain(recipe).collect();
    if text.is_empty() {
        return Ok(());
    }
    writeln!(out, "<p class=\"note\">{}.</p>", Text(&text.join("; ")))
}

fn figures(out: &mut String, experiment: &Experiment, report: &Report) -> fmt::Result {
    let ancestors = &report.ancestors;
    let nothing = |what: &str| format!("<p>This report holds no {what}.</p>\n");
    match experiment.kind {
        Kind::Table => Ok(()),
        Kind::Densities if ancestors.is_empty() => out.write_str(&nothing("distances of heads")),
        Kind::Densities => ancestors.iter().try_for_each(|ancestor| {
            writeln!(out, "<h3>{}</h3>", Text(&ancestor.name))?;
            heads::draw(out, ancestor)?;
            flow::draw(out, ancestor)
        }),
        Kind::Attention if ancestors.iter().all(|ancestor| ancestor.attention.is_empty()) => {
            out.write_str(&nothing("attention maps"))
        }
        Kind::Attention => ancestors.iter().try_for_each(|ancestor| {
            if !ancestor.attention.is_empty() {
                writeln!(out, "<h3>{}</h3>", Text(&ancestor.name))?;
            }
            attention::draw(out, ancestor)
        }),
        Kind::Scale => points::draw_scale(out, experiment),
        Kind::Sizes => points::draw_sizes(out, experiment),
        Kind::Curves if !curves::any(experiment) => Ok(()),
        Kind::Curves => {
            writeln!(out, "<h3>Curves</h3>")?;
            curves::draw(out, experiment)?;
            convergence(out, experiment, report)
        }
    }
}

/// The speed-up at equal accuracy, in numbers.
fn convergence(out: &mut String, experiment: &Experiment, report: &Report) -> fmt::Result {
    if experiment.convergence.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "<h3>Steps to equal accuracy</h3><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Steps to equal accuracy, {}\"><table><thead><tr>",
        Text(experiment.short_name()),
    )?;
    for (head, class) in [
        ("Ancestor", ""),
        ("Column", ""),
        ("Accuracy (%)", "n"),
        ("Steps of the descendant", "n"),
        ("Steps of from-scratch", "n"),
        ("Ratio", "n"),
    ] {
        write!(out, "<th scope=\"col\" class=\"{class}\">{head}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    let digits = experiment.digits(Measure::Top1);
    for one in &experiment.convergence {
        let name = report.ancestor(&one.ancestor).map_or(&*one.ancestor, |ancestor| &ancestor.name);
        let (bound, never) = match one.reached {
            true => ("", ""),
            false => ("≥ ", " <small>its budget: never reached</small>"),
        };
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}{never}</td>\
             <td class=\"n\"><strong>{bound}{:.2}</strong></td></tr>",
            Text(name),
            Text(&one.column),
            digits.value(one.target),
            thousands(one.learngene_steps),
            thousands(one.scratch_steps),
            one.ratio,
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}

/// How the paper's own figures are made.
fn full_scale(out: &mut String, experiment: &Experiment) -> fmt::Result {
    let full = &experiment.full_scale;
    if full.commands.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<details class=\"copy\"><summary>At the paper's scale: {}</summary><p class=\"note\">Takes: {}.</p>",
        Text(experiment.short_name()),
        Text(full.needs.trim_end_matches('.')),
    )?;
    commands(out, &full.commands)?;
    writeln!(out, "</details>")
}
