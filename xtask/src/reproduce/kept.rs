//! Results that go into the repository: `experiments/results/SCALE/report.json`, and beside it in
//! `ledger.jsonl` the records of the runs that it tells of, a line each.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{experiment::FOLDER, ledger::Ledger, write};

const RESULTS: &str = "results";
const REPORT: &str = "report.json";
const LEDGER: &str = "ledger.jsonl";

/// Keeps a report with all that its ledger has of the program's present sources.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn keep(root: &Path, scale: &str, ledger: &Ledger<'_>) -> Result<()> {
    let folder = root.join(FOLDER).join(RESULTS).join(scale);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let report = root.join(ledger.folder()).join(REPORT);
    let report =
        fs::read_to_string(&report).with_context(|| format!("cannot read {}", report.display()))?;
    let records = ledger.records()?;
    write(&folder.join(REPORT), &report)?;
    write(&folder.join(LEDGER), &records)?;
    eprintln!("kept {}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use learngene_report::data::{Outcome, Report, Run};
    use serde_json::Value;

    use super::*;

    fn text(file: &str) -> String {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let path = root.join(FOLDER).join(RESULTS).join("desk").join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn records() -> BTreeMap<String, Value> {
        let text = text(LEDGER);
        let records = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        records.map(|record: Value| (record["key"].to_string(), record)).collect()
    }

    fn runs(report: &Report) -> impl Iterator<Item = &Run> {
        let cells = report.experiments.iter().flat_map(|experiment| &experiment.cells);
        cells.flat_map(|cell| match &cell.outcome {
            Outcome::Run(measured) => &measured.runs[..],
            Outcome::NotRun { .. } => &[],
        })
    }

    #[test]
    fn the_kept_report_holds_together_and_every_run_of_it_is_in_the_kept_ledger() {
        let report: Report = serde_json::from_str(&text(REPORT)).expect("a report");
        learngene_report::check(&report).expect("it holds together");
        let records = records();
        let mut count = 0;
        for run in runs(&report) {
            let record = records.get(&Value::from(run.key.clone()).to_string());
            let record = record.unwrap_or_else(|| panic!("no record of {}", run.key));
            assert_eq!(record["code"], run.code);
            // The features of the model at the start have commands of their own, behind these.
            let commands: Vec<String> =
                serde_json::from_value(record["commands"].clone()).expect("commands");
            assert!(run.commands.starts_with(&commands), "{}", run.key);
            count += 1;
        }
        assert!(count > 0, "nothing was run");
    }
}
