//! How the numbers were made: settings, commands, commit, notes.

use std::fmt::{self, Write};

use super::{
    data::{Ablation, AblationRun, Method, Projection, Report},
    figure::name,
    text::{Text, count, heads, thousands},
};

/// Writes facts, commands and notes.
pub(super) fn write(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "<p>One command makes all of it again:</p>")?;
    command(out, &report.command)?;
    facts(out, report)?;
    if !report.notes.is_empty() {
        writeln!(out, "<h3>Notes</h3>\n<ul>")?;
        for note in &report.notes {
            writeln!(out, "<li>{}</li>", Text(note))?;
        }
        writeln!(out, "</ul>")?;
    }
    let rows: Vec<Command> = report
        .rows
        .iter()
        .map(|row| {
            let (item, seed) = (&row.item, format!(", seed {}", row.seed));
            Command::new(item, row.method, row.projection, &seed, &row.command)
        })
        .collect();
    let frozen: Vec<Command> = report
        .frozen
        .iter()
        .map(|row| Command::new(&row.item, row.method, row.projection, "", &row.command))
        .collect();
    writeln!(out, "<h3>Commands of the rows</h3>")?;
    commands(out, "training run", "training runs", &rows)?;
    commands(out, "measurement of frozen features", "measurements of frozen features", &frozen)?;
    let ablations: Vec<Command> = report.ablations.iter().flat_map(of_ablation).collect();
    commands(out, "run of a choice", "runs of choices", &ablations)
}

fn of_ablation(ablation: &Ablation) -> Vec<Command<'_>> {
    let Ablation { table, setting, .. } = ablation;
    let made = |run: &AblationRun| format!("{table}: {setting}, seed {}", run.seed);
    ablation.runs.iter().map(|run| Command { made: made(run), line: &run.command }).collect()
}

/// A command with what it made.
struct Command<'a> {
    made: String,
    line: &'a str,
}

impl<'a> Command<'a> {
    fn new(
        item: &str,
        method: Method,
        projection: Option<Projection>,
        more: &str,
        line: &'a str,
    ) -> Self {
        Self { made: format!("{item}, {}{more}", name(method, projection)), line }
    }
}

fn commands(out: &mut String, one: &str, many: &str, commands: &[Command]) -> fmt::Result {
    if commands.is_empty() {
        return Ok(());
    }
    let summary = count(commands.len(), one, many);
    writeln!(out, "<details><summary>{summary}</summary><ul class=\"commands\">")?;
    for Command { made, line } in commands {
        write!(out, "<li>{}", Text(made))?;
        command(out, line)?;
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ul></details>")
}

/// A command line to copy; the script puts a button beside it.
fn command(out: &mut String, line: &str) -> fmt::Result {
    writeln!(
        out,
        "<div class=\"command\"><pre tabindex=\"0\"><code>{}</code></pre></div>",
        Text(line)
    )
}

fn facts(out: &mut String, report: &Report) -> fmt::Result {
    let (ancestor, learngene, recipe) = (&report.ancestor, &report.learngene, &report.recipe);
    let rates: Vec<String> = recipe
        .learning_rate
        .iter()
        .map(|(method, rate)| format!("{} for {}", rate, method.name()))
        .collect();
    let facts = [
        (
            "Ancestor",
            format!(
                "{}: {} layers, embed_dim {}, {} heads a layer; {} parameters, {} MACs an image, \
                 {} bytes; {}",
                ancestor.name,
                ancestor.depth,
                ancestor.embed_dim,
                heads(&ancestor.num_heads),
                thousands(ancestor.params),
                thousands(ancestor.macs),
                thousands(ancestor.bytes),
                ancestor.note,
            ),
        ),
        ("Ancestor's SHA-256", ancestor.sha256.clone()),
        (
            "Learngene",
            format!(
                "{} bytes, {} parameters; clustered with eps = {} px, min_points = {} from \
                 distances over {} \
                 (convention: {})",
                thousands(learngene.bytes),
                thousands(learngene.stored_params),
                learngene.eps,
                thousands(learngene.min_points),
                count(learngene.images as usize, "image", "images"),
                learngene.convention,
            ),
        ),
        (
            "Training",
            format!(
                "{}, batches of {}, {}",
                count(recipe.epochs as usize, "epoch", "epochs"),
                thousands(recipe.batch_size),
                count(recipe.steps as usize, "step", "steps"),
            ),
        ),
        ("Learning rates", rates.join(", ")),
        ("Commit", report.commit.clone().unwrap_or_else(|| "not known".into())),
        ("Made by", format!("{}, report.json version {}", report.producer, report.version)),
    ];
    writeln!(out, "<dl class=\"facts\">")?;
    for (term, fact) in facts {
        writeln!(out, "<div><dt>{term}</dt><dd>{}</dd></div>", Text(&fact))?;
    }
    writeln!(out, "</dl>")
}
