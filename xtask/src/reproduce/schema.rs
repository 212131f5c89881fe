//! `cargo xtask schema`: the JSON schema of `report.json`, as its types have it.

use anyhow::{Context, Result};
use learngene_report::data::Report;

use super::{experiment::FOLDER, write};
use crate::workspace::Workspace;

const FILE: &str = "report.schema.json";

/// Writes the schema beside the experiments.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    write(&workspace.root.join(FOLDER).join(FILE), &text()?)
}

fn text() -> Result<String> {
    let schema = schemars::schema_for!(Report);
    Ok(serde_json::to_string_pretty(&schema).context("a schema is plain data")? + "\n")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use learngene_report::data::Outcome;
    use serde_json::{Value, json};

    use super::*;
    use crate::reproduce::report::tests::{measured, report_of};

    fn committed() -> String {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        fs::read_to_string(root.join(FOLDER).join(FILE)).expect("it is in the repository")
    }

    #[test]
    fn the_schema_of_this_repository_is_that_of_the_types() {
        assert_eq!(committed(), text().expect("a schema"), "run `cargo xtask schema`");
    }

    /// Whether a report is valid after a change.
    fn check(change: impl Fn(&mut Value), expected: bool) {
        let schema: Value = serde_json::from_str(&committed()).expect("JSON");
        let (mut compiler, mut schemas) = (boon::Compiler::new(), boon::Schemas::new());
        compiler.add_resource(FILE, schema).expect("JSON");
        let compiled = compiler.compile(FILE, &mut schemas).expect("a schema");
        let mut report = json!(report_of(Outcome::Run(measured())));
        change(&mut report);
        assert_eq!(schemas.validate(&report, compiled).is_ok(), expected, "{report}");
    }

    #[test]
    fn a_report_is_valid_until_a_field_is_wrong() {
        check(|_| {}, true);
        check(|report| report["experiments"][0]["cells"][0]["outcome"] = json!(35.0), false);
        let not_run = json!({"not-run": {"reason": "no data"}});
        check(|report| report["experiments"][0]["cells"][0]["outcome"] = not_run.clone(), true);
        check(|report| report["scale"] = json!("room"), false);
        check(|report| report["colour"] = json!("red"), false);
        check(
            |report| drop(report["experiments"][0].as_object_mut().map(|e| e.remove("title"))),
            false,
        );
    }
}
