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

    use learngene_report::data::{
        Cell, Experiment, FullScale, Kind, Measure, Measured, Outcome, Run, Scale,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::reproduce::report::report;

    fn committed() -> String {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        fs::read_to_string(root.join(FOLDER).join(FILE)).expect("it is in the repository")
    }

    #[test]
    fn the_schema_of_this_repository_is_that_of_the_types() {
        assert_eq!(committed(), text().expect("a schema"), "run `cargo xtask schema`");
    }

    /// A report of one cell.
    fn report_of(outcome: Outcome) -> Report {
        let cell = Cell {
            row: "ours".into(),
            column: "desk ViT".into(),
            measure: Measure::Top1,
            paper: None,
            outcome,
        };
        let experiment = Experiment {
            id: "order".into(),
            item: None,
            title: "Order".into(),
            about: "Orders.".into(),
            kind: Kind::Table,
            data: None,
            recipe: None,
            full_scale: FullScale { needs: String::new(), commands: Vec::new() },
            cells: vec![cell],
            convergence: Vec::new(),
        };
        let mut report = report("cargo xtask reproduce".into(), None, Scale::Desk, Vec::new(), &[]);
        report.experiments.push(experiment);
        report
    }

    fn measured() -> Measured {
        let run = |seed, value| Run {
            seed,
            value,
            key: "0".repeat(64),
            code: "1".repeat(64),
            commands: vec!["learngene train".into()],
            evaluations: Vec::new(),
            linear_probe: Some(20.0),
            knn: None,
            learning_rate: Some(0.01),
        };
        let runs = vec![run(0, 30.0), run(1, 40.0)];
        Measured { mean: 35.0, std: Some(50_f64.sqrt()), difference: None, model: None, runs }
    }

    /// Whether a report is valid after a change.
    fn check(change: impl Fn(&mut Value), expected: bool) {
        let schema: Value = serde_json::from_str(&committed()).expect("JSON");
        let (mut compiler, mut schemas) = (boon::Compiler::new(), boon::Schemas::new());
        compiler.add_resource(FILE, schema).expect("JSON");
        let compiled = compiler.compile(FILE, &mut schemas).expect("a schema");
        let report = report_of(Outcome::Run(measured()));
        learngene_report::check(&report).expect("a good report");
        let mut report = json!(report);
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
