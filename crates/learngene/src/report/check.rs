//! What the types cannot say: every number within its bounds, every list as long as its fellows.

use std::{collections::BTreeSet, fmt::Display};

use super::{
    data::{Ablation, Ancestor, Clusters, Data, Frozen, Learngene, Recipe, Report, Row},
    series,
};

/// A field that holds what it cannot.
#[derive(Debug)]
pub(super) struct Invalid {
    pub field: String,
    pub got: String,
    pub wanted: String,
}

type Check = Result<(), Invalid>;

/// Checks a report.
pub(super) fn check(report: &Report) -> Check {
    check_data(&report.data)?;
    check_ancestor(&report.ancestor)?;
    check_learngene(&report.learngene, &report.ancestor)?;
    check_recipe(&report.recipe)?;
    wanted(!report.rows.is_empty(), "rows", "empty", "at least one run")?;
    for (index, row) in report.rows.iter().enumerate() {
        check_row(row, &format!("rows[{index}]"))?;
    }
    check_fellows(&report.rows)?;
    for (index, frozen) in report.frozen.iter().enumerate() {
        check_frozen(frozen, &format!("frozen[{index}]"))?;
    }
    for (index, ablation) in report.ablations.iter().enumerate() {
        check_ablation(ablation, &format!("ablations[{index}]"))?;
    }
    Ok(())
}

fn check_ablation(ablation: &Ablation, place: &str) -> Check {
    percent(&format!("{place}.knn_top1"), ablation.knn_top1)?;
    percent(&format!("{place}.linear_top1"), ablation.linear_top1)?;
    measure(&format!("{place}.learning_rate"), ablation.learning_rate)?;
    for (rate, top1) in ablation.tried_rates.iter().flatten() {
        percent(&format!("{place}.tried_rates.{rate}"), *top1)?;
    }
    let runs = &ablation.runs;
    wanted(!runs.is_empty(), format!("{place}.runs"), "empty", "at least one run")?;
    for (index, run) in runs.iter().enumerate() {
        percent(&format!("{place}.runs[{index}].top1"), run.top1)?;
        let field = format!("{place}.runs[{index}].seed");
        let is_new = runs[..index].iter().all(|other| other.seed != run.seed);
        wanted(is_new, field, run.seed, "a seed that no other run has")?;
    }
    Ok(())
}

fn check_data(data: &Data) -> Check {
    positive("data.train_images", data.train_images)?;
    positive("data.test_images", data.test_images)?;
    positive("data.classes", data.classes)
}

fn check_ancestor(ancestor: &Ancestor) -> Check {
    positive("ancestor.params", ancestor.params)?;
    positive("ancestor.macs", ancestor.macs)?;
    positive("ancestor.bytes", ancestor.bytes)?;
    length("ancestor.num_heads", ancestor.num_heads.len(), ancestor.depth, "layers")?;
    ancestor.top1.map_or(Ok(()), |top1| percent("ancestor.top1", top1))
}

fn check_learngene(learngene: &Learngene, ancestor: &Ancestor) -> Check {
    positive("learngene.bytes", learngene.bytes)?;
    positive("learngene.stored_params", learngene.stored_params)?;
    measure("learngene.eps", learngene.eps)?;
    length("learngene.layers", learngene.layers.len(), ancestor.depth, "layers")?;
    for (name, values) in
        [("mean_attention_distance", &learngene.mean_attention_distance), ("std", &learngene.std)]
    {
        let field = format!("learngene.{name}");
        length(&field, values.len(), ancestor.depth, "layers")?;
        for (layer, (heads, &num_heads)) in values.iter().zip(&ancestor.num_heads).enumerate() {
            let field = format!("{field}[{layer}]");
            length(&field, heads.len(), num_heads, "heads")?;
            each(&field, heads, measure)?;
        }
    }
    for (layer, (clusters, &num_heads)) in
        learngene.layers.iter().zip(&ancestor.num_heads).enumerate()
    {
        check_clusters(clusters, num_heads, &format!("learngene.layers[{layer}]"))?;
    }
    Ok(())
}

fn check_clusters(clusters: &Clusters, num_heads: usize, place: &str) -> Check {
    let Clusters { labels, sizes, representatives } = clusters;
    length(&format!("{place}.labels"), labels.len(), num_heads, "heads")?;
    let names: BTreeSet<usize> = labels.iter().flatten().copied().collect();
    length(&format!("{place}.representatives"), representatives.len(), names.len(), "clusters")?;
    length(&format!("{place}.sizes"), sizes.len(), names.len(), "clusters")?;

    let mut seen = BTreeSet::new();
    for (rank, (&representative, &size)) in representatives.iter().zip(sizes).enumerate() {
        let label = labels.get(representative).copied().flatten();
        let is_new = label.is_some_and(|label| seen.insert(label));
        let field = format!("{place}.representatives[{rank}]");
        wanted(is_new, field, representative, "one head of every cluster")?;
        let members = labels.iter().filter(|&&other| other == label).count();
        let field = format!("{place}.sizes[{rank}]");
        wanted(size == members, field, size, format!("{members}, the heads with its label"))?;
    }
    Ok(())
}

fn check_recipe(recipe: &Recipe) -> Check {
    for (method, &rate) in &recipe.learning_rate {
        let field = format!("recipe.learning_rate of {}", method.name());
        wanted(rate.is_finite() && rate > 0.0, field, rate, "a positive, finite rate")?;
    }
    Ok(())
}

fn check_row(row: &Row, place: &str) -> Check {
    positive(&format!("{place}.params"), row.params)?;
    positive(&format!("{place}.macs"), row.macs)?;
    let field = format!("{place}.inherited_params");
    let most = format!("at most params, {}", row.params);
    wanted(row.inherited_params <= row.params, field, row.inherited_params, most)?;
    length(&format!("{place}.heads"), row.heads.len(), row.depth, "layers")?;

    let field = format!("{place}.top1");
    wanted(!row.top1.is_empty(), &field, "empty", "at least one evaluation")?;
    each(&field, &row.top1, percent)?;
    let field = format!("{place}.epochs");
    length(&field, row.epochs.len(), row.top1.len(), "evaluations")?;
    each(&field, &row.epochs, measure)?;
    let rises = row.epochs.is_sorted_by(|earlier, later| earlier < later);
    wanted(rises, field, format!("{:?}", row.epochs), "rising numbers")
}

/// Rows that differ in their seed alone make one mean, so everything else must agree.
fn check_fellows(rows: &[Row]) -> Check {
    for (index, row) in rows.iter().enumerate() {
        let place = format!("rows[{index}]");
        let fellows = rows.iter().enumerate().take(index);
        for (other, fellow) in fellows.filter(|(_, fellow)| series::is_same(row, fellow)) {
            let same = |field: &str| format!("as in rows[{other}].{field}, the same method");
            let alike = |field: &str, is_alike: bool| {
                wanted(is_alike, format!("{place}.{field}"), "different", same(field))
            };
            let field = format!("{place}.seed");
            let another = format!("another seed than rows[{other}], the same method");
            wanted(row.seed != fellow.seed, field, row.seed, another)?;
            alike("family", row.family == fellow.family)?;
            alike("depth", row.depth == fellow.depth)?;
            alike("heads", row.heads == fellow.heads)?;
            alike("head_ratio", row.head_ratio == fellow.head_ratio)?;
            alike("epochs", row.epochs == fellow.epochs)?;
            alike("params", row.params == fellow.params)?;
            alike("inherited_params", row.inherited_params == fellow.inherited_params)?;
            alike("macs", row.macs == fellow.macs)?;
        }
    }
    Ok(())
}

fn check_frozen(frozen: &Frozen, place: &str) -> Check {
    percent(&format!("{place}.knn_top1"), frozen.knn_top1)?;
    percent(&format!("{place}.linear_top1"), frozen.linear_top1)
}

fn wanted(
    holds: bool,
    field: impl Into<String>,
    got: impl Display,
    wanted: impl Into<String>,
) -> Check {
    let invalid = || Invalid { field: field.into(), got: got.to_string(), wanted: wanted.into() };
    if holds { Ok(()) } else { Err(invalid()) }
}

fn length(field: &str, got: usize, want: usize, of: &str) -> Check {
    let wants = format!("{want}, one for each of the {of}");
    wanted(got == want, field, format!("a list of {got}"), wants)
}

fn each(field: &str, values: &[f64], check: fn(&str, f64) -> Check) -> Check {
    values.iter().enumerate().try_for_each(|(i, &value)| check(&format!("{field}[{i}]"), value))
}

fn positive(field: &str, value: u64) -> Check {
    wanted(value > 0, field, value, "a positive number")
}

fn percent(field: &str, value: f64) -> Check {
    wanted((0.0..=100.0).contains(&value), field, value, "a percentage from 0 to 100")
}

fn measure(field: &str, value: f64) -> Check {
    wanted(value.is_finite() && value >= 0.0, field, value, "a finite number of at least 0")
}
