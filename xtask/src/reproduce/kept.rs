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
