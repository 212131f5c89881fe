//! Whether what the paper chose comes out best among its alternatives.

use super::{Finding, Verdict};
use crate::{
    data::{Cell, Experiment, Measure, Measured},
    grid::unique,
};

/// Tables of the paper that compare choices: item, the words that a row of the choice has, and what
/// the choice is.
const CHOICES: &[(&str, &[&str], &str)] = &[
    ("Table 5", &["priority"], "order by priority"),
    ("Table 7", &["nearest"], "centroid that is the member nearest the mean"),
];

/// One finding for each group of rows and each column. Rows named `heads: nearest` and `heads:
/// averaging` are a group, as are all rows without a colon.
pub(super) fn judge(experiment: &Experiment) -> Vec<Finding> {
    let of_item = |(item, ..): &&(&str, &[&str], &str)| experiment.item.as_deref() == Some(*item);
    let Some((_, words, choice)) = CHOICES.iter().find(of_item) else { return Vec::new() };
    let rows: Vec<(&Cell, &Measured)> =
        experiment.run_cells().filter(|(cell, _)| cell.measure == Measure::Top1).collect();
    let groups = unique(rows.iter().map(|(cell, _)| (&*cell.column, group(&cell.row))));
    let judged = groups.into_iter().filter_map(|(column, name)| {
        let of_group: Vec<(&Cell, &Measured)> = rows
            .iter()
            .copied()
            .filter(|(cell, _)| (&*cell.column, group(&cell.row)) == (column, name))
            .collect();
        judge_group(experiment, &of_group, words, choice, column)
    });
    judged.collect()
}

/// What rows of one comparison have in common.
fn group(row: &str) -> &str {
    row.split_once(": ").map_or("", |(group, _)| group)
}

fn judge_group(
    experiment: &Experiment,
    rows: &[(&Cell, &Measured)],
    words: &[&str],
    choice: &str,
    column: &str,
) -> Option<Finding> {
    let is_chosen = |(cell, _): &&(&Cell, &Measured)| {
        let row = cell.row.to_lowercase();
        words.iter().any(|word| row.contains(word))
    };
    let chosen = rows.iter().find(is_chosen)?;
    let others = || rows.iter().filter(|row| !is_chosen(row));
    // The best of several is picked by the very runs that it is then compared by, which favours it.
    let rivals = match others().count() {
        0 | 1 => "the other".to_owned(),
        several => format!("best of {several} others, picked by these runs"),
    };
    let best = others().max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))?;
    let (ours, theirs) = (chosen.1.spread(), best.1.spread());
    let digits = experiment.digits(Measure::Top1);
    let group = Some(group(&chosen.0.row)).filter(|group| !group.is_empty());
    Some(Finding {
        verdict: Verdict::of(ours.mean - theirs.mean, ours.half_width(theirs)),
        claim: format!(
            "The paper's choice, the {choice}, comes out best in {}{}, {column}",
            experiment.short_name(),
            group.map_or(String::new(), |group| format!(", {group}")),
        ),
        evidence: format!(
            "{}: {}; {rivals}, {}: {}; {} points.",
            chosen.0.row,
            digits.with_unit(ours),
            best.0.row,
            digits.with_unit(theirs),
            digits.difference(ours.mean - theirs.mean),
        ),
        experiment: experiment.id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::parse_changed;

    #[track_caller]
    fn check(id: &str, verdict: Verdict, claim: &str, evidence: &str) {
        let report = parse_changed(|_| ()).expect("the fixture is a report");
        let experiment = report.experiments.iter().find(|e| e.id == id).expect("it is there");
        let findings = judge(experiment);
        assert_eq!(findings.len(), 1);
        let Finding { verdict: got, claim: got_claim, evidence: got_evidence, .. } = &findings[0];
        assert_eq!((*got, &**got_claim, &**got_evidence), (verdict, claim, evidence));
    }

    #[test]
    fn the_order_of_the_paper_is_judged_by_the_best_of_the_others() {
        check(
            "table5_order",
            Verdict::NoDifference,
            "The paper's choice, the order by priority, comes out best in Table 5, L6, w = 2",
            "priority: 49.0 ± 1.7 %; best of 3 others, picked by these runs, increasing d: 49.5 ± 1.4 %; −0.5 points.",
        );
    }

    #[test]
    fn rows_of_another_group_are_not_its_rivals() {
        check(
            "table7_centroid",
            Verdict::Holds,
            "The paper's choice, the centroid that is the member nearest the mean, comes out best in \
             Table 7, heads, top-1",
            "heads: nearest: 48.8 ± 1.4 %; the other, heads: averaging: 42.6 ± 1.4 %; +6.2 \
             points.",
        );
    }

    #[test]
    fn other_tables_choose_nothing() {
        let report = parse_changed(|_| ()).expect("the fixture is a report");
        assert_eq!(judge(&report.experiments[1]), []);
    }
}
