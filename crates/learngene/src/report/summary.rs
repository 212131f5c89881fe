//! What this is, and the numbers that matter most.

use std::fmt::{self, Write};

use super::{
    data::{Method, Projection, Report},
    figure::name,
    series::{Comparison, Series, compare_with, items},
    text::{self, Decimals, Text, count, heads, share, short, thousands},
};

/// Writes two sentences, the tiles, and what the ancestor saw.
pub(super) fn write(out: &mut String, report: &Report, series: &[Series]) -> fmt::Result {
    lead(out, report, series)?;
    writeln!(out, "<dl class=\"tiles\">")?;
    sizes(out, report)?;
    let decimals = Decimals::of(report.data.test_images);
    if let Some(best) = best_descendant(series) {
        accuracies(out, report, series, best, decimals)?;
    }
    writeln!(out, "</dl>")?;
    saw(out, report)
}

/// The descendant of the learngene with the highest mean final top-1.
pub(super) fn best_descendant<'a, 's>(series: &'s [Series<'a>]) -> Option<&'s Series<'a>> {
    let descendants = series.iter().filter(|series| series.method() == Method::ClusterLearngene);
    descendants.max_by(|a, b| a.final_top1().mean.total_cmp(&b.final_top1().mean))
}

fn lead(out: &mut String, report: &Report, series: &[Series]) -> fmt::Result {
    let (ancestor, data, recipe) = (&report.ancestor, &report.data, &report.recipe);
    let others: Vec<&str> = [Method::FromScratch, Method::PretrainingFinetuning]
        .into_iter()
        .filter(|method| series.iter().any(|series| series.method() == *method))
        .map(Method::name)
        .collect();
    let compared = match others.is_empty() {
        true => String::new(),
        false => format!(" and compared with {}", others.join(" and ")),
    };
    writeln!(
        out,
        "<p class=\"lead\">A learngene, the compact part that descendants inherit, was condensed \
         from {} \
         ({} layers, embed_dim {}, {} heads a layer, {} parameters) by clustering its attention \
         heads. \
         Descendants of {} were made from that one file, trained for {} ({}) on {} \
         ({} training and {} test images, {} classes){compared}.</p>",
        Text(&ancestor.name),
        ancestor.depth,
        ancestor.embed_dim,
        heads(&ancestor.num_heads),
        thousands(ancestor.params),
        count(items(series).len(), "shape", "shapes"),
        count(recipe.epochs as usize, "epoch", "epochs"),
        count(recipe.steps as usize, "step", "steps"),
        Text(&data.name),
        thousands(data.train_images),
        thousands(data.test_images),
        thousands(data.classes),
    )
}

fn tile(out: &mut String, term: &str, number: &str, words: &str) -> fmt::Result {
    writeln!(
        out,
        "<div><dt>{term}</dt><dd><strong>{number}</strong> <span>{words}</span></dd></div>"
    )
}

fn sizes(out: &mut String, report: &Report) -> fmt::Result {
    let (ancestor, learngene) = (&report.ancestor, &report.learngene);
    let of = |part, whole, unit: &str| {
        format!(
            "{}{unit}: {} of the ancestor's {}",
            thousands(part),
            share(part, whole),
            thousands(whole)
        )
    };
    let words = of(learngene.bytes, ancestor.bytes, " bytes");
    tile(out, "Learngene file", &format!("{}B", short(learngene.bytes)), &words)?;
    let words = of(learngene.stored_params, ancestor.params, "");
    tile(out, "Learngene parameters", &short(learngene.stored_params), &words)
}

fn accuracies(
    out: &mut String,
    report: &Report,
    series: &[Series],
    best: &Series,
    decimals: Decimals,
) -> fmt::Result {
    let projection = best.projection().map(Projection::name);
    let tried = series.iter().filter(|series| series.method() == Method::ClusterLearngene).count();
    let words = format!(
        "top-1 of {}{}, {}; the best of {}",
        Text(best.item()),
        projection.map_or(String::new(), |projection| format!(", projection {projection}")),
        count(best.rows.len(), "seed", "seeds"),
        count(tried, "descendant", "descendants"),
    );
    tile(out, "Best descendant", &format!("{} %", decimals.spread(best.final_top1())), &words)?;
    for method in [Method::FromScratch, Method::PretrainingFinetuning] {
        let Some(Comparison { other, points, .. }) = compare_with(best, method, series) else {
            continue;
        };
        let words = format!(
            "the same shape by {}: {} %, {}; {} each",
            name(other.method(), other.projection()),
            decimals.spread(other.final_top1()),
            count(other.rows.len(), "seed", "seeds"),
            count(report.recipe.steps as usize, "step", "steps"),
        );
        let term = format!("Best descendant against {}", method.name());
        tile(out, &term, &format!("{} points", decimals.points(points)), &words)?;
    }
    Ok(())
}

/// The comparison is not between equals, and the page says so at its top.
fn saw(out: &mut String, report: &Report) -> fmt::Result {
    let top1 = report.ancestor.top1.map_or(String::new(), |top1| {
        let decimals = Decimals::of(report.data.test_images);
        format!(" Its top-1 is {} %.", decimals.percent(top1))
    });
    writeln!(
        out,
        "<p class=\"saw\"><strong>What the ancestor saw:</strong> {}.{top1} A model from scratch \
         saw only the {} \
         training images of {}.</p>",
        Text(report.ancestor.note.trim_end_matches('.')),
        text::thousands(report.data.train_images),
        Text(&report.data.name),
    )
}
