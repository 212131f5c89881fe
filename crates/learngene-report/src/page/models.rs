//! What the models behind the cells are, and what their features are worth before training.

use std::fmt::{self, Write};

use crate::{
    data::{Experiment, Measure, Measured, Model, Report},
    stats::Spread,
    text::{Text, by_layer, share, thousands},
};

const COLUMNS: [(&str, &str); 11] = [
    ("Row, column", ""),
    ("Ancestor", ""),
    ("Method", ""),
    ("Depth", "n"),
    ("Heads", "n"),
    ("Parameters", "n"),
    ("Inherited (I-Params)", "n"),
    ("MACs", "n"),
    ("Learngene", "n"),
    ("Linear probe (%)", "n"),
    ("kNN (%)", "n"),
];

/// Writes the folded table of models, where there are any.
pub(super) fn write(out: &mut String, experiment: &Experiment, report: &Report) -> fmt::Result {
    let mut models = experiment
        .run_cells()
        .filter_map(|(cell, m)| Some((cell, m, m.model.as_ref()?)))
        .peekable();
    if models.peek().is_none() {
        return Ok(());
    }
    let name = Text(experiment.short_name());
    write!(
        out,
        "<details><summary>Models of {name}: shapes, parameters, features before training</summary>\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Models of {name}\">\
         <table class=\"dense\"><caption>Heads: of every layer. MACs: multiply-accumulates of one \
         image. Learngene: values in its learngene.</caption><thead><tr>"
    )?;
    for (column, class) in COLUMNS {
        write!(out, "<th scope=\"col\" class=\"{class}\">{column}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    let digits = experiment.digits(Measure::LinearProbe);
    let told = |spread: Option<Spread>| spread.map_or("–".into(), |spread| digits.spread(spread));
    for (cell, measured, model) in models {
        let ancestor = report.ancestor(&model.ancestor).map_or(&*model.ancestor, |a| &a.name);
        let Model { method, depth, heads, params, inherited_params, macs, .. } = model;
        writeln!(
            out,
            "<tr><th scope=\"row\">{}, {}</th><td>{}</td><td>{}</td><td class=\"n\">{depth}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{} <small>{}</small></td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            Text(&cell.row),
            Text(&cell.column),
            Text(ancestor),
            Text(method),
            by_layer(heads),
            thousands(*params),
            thousands(*inherited_params),
            share(*inherited_params, *params),
            thousands(*macs),
            model.stored_params.map_or("–".into(), thousands),
            told(over_runs(measured, |run| run.linear_probe)),
            told(over_runs(measured, |run| run.knn)),
        )?;
    }
    writeln!(out, "</tbody></table></div></details>")
}

/// Mean over the runs that have it.
fn over_runs(measured: &Measured, value: fn(&crate::data::Run) -> Option<f64>) -> Option<Spread> {
    Spread::of(measured.runs.iter().filter_map(value))
}
