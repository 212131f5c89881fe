//! Our numbers beside the paper's.

use std::fmt::{self, Write};

use crate::{
    data::{Cell, Experiment, Measure, Outcome, Scale},
    grid::unique,
    text::{Text, capital, thousands},
};

/// Writes rows and columns, why cells were not run, and where the paper's values are from.
pub(super) fn write(out: &mut String, experiment: &Experiment, scale: Scale) -> fmt::Result {
    let measures = experiment.measures();
    let mut columns = experiment.measured_columns();
    columns.retain(|column| is_shown(experiment, *column));
    let cells = || experiment.cells.iter();
    let is_drawn = |cell: &&Cell| columns.contains(&(cell.column.as_str(), cell.measure));
    let reasons = unique(cells().filter(is_drawn).filter_map(|cell| cell.reason()));
    let (id, name) = (&experiment.id, Text(experiment.short_name()));
    note(out, experiment, scale)?;
    if columns.is_empty() {
        return left_out(out, experiment);
    }
    write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Numbers of {name}\">\
         <table class=\"cells\" aria-describedby=\"{id}-note\"><thead><tr><td></td>"
    )?;
    for (column, measure) in &columns {
        let unit = match measures.len() {
            1 => String::new(),
            _ => format!(" <small>{}</small>", measure.title()),
        };
        write!(out, "<th scope=\"col\" class=\"n\">{}{unit}</th>", Text(column))?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for row in experiment.rows() {
        write!(out, "<tr><th scope=\"row\">{}</th>", Text(row))?;
        for (column, measure) in &columns {
            match experiment.cell(row, column, *measure) {
                Some(cell) => write_cell(out, experiment, cell, &reasons)?,
                None => write!(out, "<td></td>")?,
            }
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></div>")?;
    left_out(out, experiment)?;
    if reasons.is_empty() {
        return Ok(());
    }
    writeln!(out, "<p class=\"note\">Not run, because:</p><ol class=\"reasons\" type=\"a\">")?;
    for (index, reason) in reasons.iter().enumerate() {
        let letter = letter(index);
        writeln!(out, "<li id=\"{id}-reason-{letter}\">{}</li>", Text(reason))?;
    }
    writeln!(out, "</ol>")
}

/// Whether anything of a column was run, or is cited.
fn is_shown(experiment: &Experiment, (column, measure): (&str, Measure)) -> bool {
    let of_column = |cell: &&Cell| cell.column == column && cell.measure == measure;
    let mut cells = experiment.cells.iter().filter(of_column);
    cells.any(|cell| cell.paper.is_some() || cell.measured().is_some())
}

/// Names columns of which nothing was run, by reason: a table of them would hide the numbers.
pub(super) fn left_out(out: &mut String, experiment: &Experiment) -> fmt::Result {
    let mut columns = experiment.measured_columns();
    columns.retain(|column| !is_shown(experiment, *column));
    let of_reason = |wanted: &str| {
        let is_of_it = |(column, measure): &&(&str, Measure)| {
            experiment.cells.iter().any(|cell| {
                cell.column == *column && cell.measure == *measure && cell.reason() == Some(wanted)
            })
        };
        let names = unique(columns.iter().filter(is_of_it).map(|(column, _)| *column));
        (!names.is_empty()).then(|| names.join("; "))
    };
    for reason in unique(experiment.cells.iter().filter_map(|cell| cell.reason())) {
        if let Some(names) = of_reason(reason) {
            writeln!(
                out,
                "<p class=\"note\">Not run: {}. {}.</p>",
                Text(&names),
                Text(&capital(reason.trim_end_matches('.'))),
            )?;
        }
    }
    Ok(())
}

/// What is counted, and what there is of the paper's.
fn note(out: &mut String, experiment: &Experiment, scale: Scale) -> fmt::Result {
    let is_counted = experiment.measures() == [Measure::Count];
    let what: Vec<&str> = experiment.measures().into_iter().map(|m| m.describe()).collect();
    let cited: Vec<_> = experiment.cells.iter().filter_map(|cell| cell.paper.as_ref()).collect();
    let sources = unique(cited.iter().map(|cited| &*cited.source));
    let paper = match sources.is_empty() {
        true if experiment.item.is_none() => String::new(),
        true => {
            "No source of ours gives the paper's numbers for it, so none stand beside ours.".into()
        }
        false => format!(
            "Below ours stands the paper's, with ours minus the paper's in brackets; from {}.{}",
            sources.join("; "),
            if scale == Scale::Desk && !is_counted {
                " Its models and images are larger ones."
            } else {
                ""
            },
        ),
    };
    let is_spread = experiment.run_cells().any(|(_, measured)| measured.std.is_some());
    let spread = match is_spread {
        _ if is_counted => "",
        true => " Mean ± sample standard deviation over n runs, one for each seed.",
        false => " Single runs: n = 1, the spread is unknown.",
    };
    let any = experiment.run_cells().next().is_some();
    writeln!(
        out,
        "<p class=\"note\" id=\"{}-note\">{}.{} {}</p>",
        experiment.id,
        what.join(". "),
        if any { spread } else { "" },
        Text(&paper),
    )
}

fn write_cell(
    out: &mut String,
    experiment: &Experiment,
    cell: &Cell,
    reasons: &[&str],
) -> fmt::Result {
    let digits = experiment.digits(cell.measure);
    let steps =
        match (experiment.steps().is_some_and(|steps| steps.start() < steps.end()), cell.steps()) {
            (true, Some(steps)) => format!(", {} steps", thousands(steps)),
            _ => String::new(),
        };
    write!(out, "<td class=\"n\">")?;
    match &cell.outcome {
        Outcome::Run(measured) => {
            write!(out, "<strong>{}</strong>", digits.spread(measured.spread()))?;
            if cell.measure.is_of_runs() {
                write!(out, " <small>n = {}{}</small>", measured.runs.len(), steps)?;
            }
        }
        Outcome::NotRun { reason } => {
            let letter = letter(reasons.iter().position(|other| other == reason).unwrap_or(0));
            let id = &experiment.id;
            write!(
                out,
                "<a class=\"not-run\" href=\"#{id}-reason-{letter}\" title=\"{}\">not run ({letter})</a>",
                Text(reason),
            )?;
        }
    }
    if let Some(paper) = &cell.paper {
        let difference = cell.measured().and_then(|measured| measured.difference);
        let difference =
            difference.map_or(String::new(), |d| format!(" ({})", digits.difference(d)));
        write!(
            out,
            " <small class=\"paper\">paper {}{difference}</small>",
            digits.value(paper.value)
        )?;
    }
    write!(out, "</td>")
}

/// `a` to `z`, then `aa`, as lists of letters go on.
fn letter(index: usize) -> String {
    let last = char::from(b'a' + u8::try_from(index % 26).unwrap_or(0));
    match index / 26 {
        0 => last.to_string(),
        more => format!("{}{last}", letter(more - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_on_after_z() {
        assert_eq!([0, 25, 26, 53].map(letter), ["a", "z", "aa", "bb"]);
    }
}
