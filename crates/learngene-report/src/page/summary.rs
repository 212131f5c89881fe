//! What this is, what holds, what does not, and what was not run.

use std::fmt::{self, Write};

use crate::{
    data::Report,
    findings::{Finding, Verdict},
    grid::unique,
    text::{Text, capital, count},
};

impl Verdict {
    /// A class that sets the colour, and a sign for readers who do not see it.
    fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::Holds => ("v-holds", "✓"),
            Self::NoDifference => ("v-within", "≈"),
            Self::DoesNotHold => ("v-fails", "✗"),
            Self::NotDecided => ("v-open", "?"),
            Self::NotRun => ("v-none", "–"),
        }
    }

    /// The verdict as a badge.
    pub(super) fn badge(self) -> String {
        let ((class, sign), words) = (self.look(), self.words());
        format!(
            "<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign}</span> {words}</span>"
        )
    }
}

/// Writes what was done with what.
pub(super) fn lead(out: &mut String, report: &Report) -> fmt::Result {
    let names: Vec<&str> = report.ancestors.iter().map(|ancestor| &*ancestor.name).collect();
    let from = match names.is_empty() {
        true => String::new(),
        false => format!(" condensed from {}", names.join(" and ")),
    };
    let data = unique(report.experiments.iter().filter_map(|e| Some(&*e.data.as_ref()?.name)));
    let on = match data.is_empty() {
        true => String::new(),
        false => format!(", on images of {}", data.join(", ")),
    };
    writeln!(
        out,
        "<p class=\"lead\">The tables and figures of “Cluster-Learngene: Inheriting Adaptive \
         Clusters for Vision Transformers” (NeurIPS 2024), made again with learngenes{}{}. Every \
         number has the runs behind it; what was not run says why.</p>",
        Text(&from),
        Text(&on),
    )
}

/// Writes how many claims stand how, each claim, and the list of experiments.
pub(super) fn write(out: &mut String, report: &Report, findings: &[Finding]) -> fmt::Result {
    tiles(out, findings)?;
    writeln!(
        out,
        "<p class=\"note\">A claim that one mean is above another <strong>holds</strong> where the \
         95 % confidence interval of their difference (Student’s, over seeds, with the pooled \
         variance) lies above 0, and <strong>does not hold</strong> where it lies below; where 0 is \
         in it, <strong>no difference</strong> is <strong>shown</strong>. With one seed the spread \
         is unknown and the claim <strong>not decided</strong>. A claim about several cells is as \
         good as its worst one. All seeds are measured on the same test images, whose own luck the \
         interval does not know: of 1,000 images it is about 1.6 points of one accuracy.</p>"
    )?;
    for verdict in Verdict::ALL {
        let of_verdict: Vec<&Finding> = findings.iter().filter(|f| f.verdict == verdict).collect();
        if !of_verdict.is_empty() {
            let id = verdict.look().0;
            writeln!(
                out,
                "<h3 id=\"{id}\" tabindex=\"-1\">{}</h3><ul class=\"findings\">",
                verdict.badge()
            )?;
            match verdict {
                Verdict::NotRun => by_reason(out, &of_verdict)?,
                _ => of_verdict.iter().try_for_each(|finding| {
                    writeln!(
                        out,
                        "<li>{} <span>{}</span></li>",
                        link(finding),
                        Text(&finding.evidence)
                    )
                })?,
            }
            writeln!(out, "</ul>")?;
        }
    }
    contents(out, report)
}

/// What was not run, a line for each reason.
fn by_reason(out: &mut String, findings: &[&Finding]) -> fmt::Result {
    for reason in unique(findings.iter().map(|finding| &*finding.evidence)) {
        let of_it = findings.iter().filter(|finding| finding.evidence == reason);
        let links: Vec<String> = of_it.map(|finding| link(finding)).collect();
        let reason = capital(reason.trim_end_matches('.'));
        writeln!(out, "<li><span>{}.</span> {}</li>", Text(&reason), links.join("; "))?;
    }
    Ok(())
}

/// A claim that leads to its experiment.
fn link(finding: &Finding) -> String {
    format!("<a href=\"#{}\">{}</a>", Text(&finding.experiment), Text(&finding.claim))
}

fn tiles(out: &mut String, findings: &[Finding]) -> fmt::Result {
    writeln!(out, "<ul class=\"tiles\">")?;
    for verdict in Verdict::ALL {
        let number = findings.iter().filter(|finding| finding.verdict == verdict).count();
        let (class, sign) = verdict.look();
        let words = match verdict {
            Verdict::NotRun => "not run, at least in part",
            other => other.words(),
        };
        let inside = format!(
            "<strong>{number}</strong> <span><span aria-hidden=\"true\">{sign}</span> {words}</span>"
        );
        let tile = if number > 0 {
            format!("<a class=\"{class}\" href=\"#{class}\">{inside}</a>")
        } else {
            format!("<div class=\"{class}\">{inside}</div>")
        };
        writeln!(out, "<li>{tile}</li>")?;
    }
    writeln!(out, "</ul>")
}

/// Every experiment with how much of it was run.
fn contents(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(
        out,
        "<nav aria-label=\"Experiments\"><h3>All experiments</h3><ul class=\"contents\">"
    )?;
    for experiment in &report.experiments {
        let (all, run) = (experiment.cells.len(), experiment.run_cells().count());
        let done = match all {
            0 => String::new(),
            _ => format!(" <small>{run} of {} run</small>", count(all, "cell", "cells")),
        };
        writeln!(
            out,
            "<li><a href=\"#{}\">{}</a>{done}</li>",
            experiment.id,
            Text(&experiment.heading()),
        )?;
    }
    writeln!(out, "</ul></nav>")
}
