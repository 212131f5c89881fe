//! Reads `report.json`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::{
    check::{Invalid, check},
    data::{Report, VERSION},
};

/// Why `report.json` cannot be shown.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The file is not there or cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not JSON, or not in the shape of a report.
    #[error("{}: {field}: {source}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where in the file, such as `experiments[3].cells[0].measure`; `.` for the whole.
        field: String,
        /// What the reader said, with line and column.
        source: serde_json::Error,
    },
    /// Written by a program newer than this one, or older.
    #[error("{}: version is {got}, wanted {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it names.
        got: u32,
    },
    /// A value that cannot be.
    #[error("{}: {invalid}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The field, what it holds, and what it could hold.
        invalid: Invalid,
    },
}

/// Reads `report.json` and checks every value.
///
/// # Errors
/// [`ReportError`], naming the file and the field.
pub fn read(path: &Path) -> Result<Report, ReportError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ReportError::Read { path: path.into(), source })?;
    parse(&text, path)
}

/// Reads the text of `report.json`; `path` only names it in errors.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Report, ReportError> {
    // Asked first: the fields of another version are not known here.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = from_json(text, path)?;
    if version != VERSION {
        return Err(ReportError::Version { path: path.into(), got: version });
    }
    let report: Report = from_json(text, path)?;
    check(&report).map_err(|invalid| ReportError::Value { path: path.into(), invalid })?;
    Ok(report)
}

fn from_json<'a, T: Deserialize<'a>>(text: &'a str, path: &Path) -> Result<T, ReportError> {
    let shape = |field, source| ReportError::Shape { path: path.into(), field, source };
    let reader = &mut serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut *reader)
        .map_err(|error| shape(error.path().to_string(), error.into_inner()))?;
    reader.end().map_err(|source| shape(".".into(), source))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{FIXTURE, check_refused, parse_changed};

    #[test]
    fn the_fixture_is_read_and_written_alike() {
        let report = parse_changed(|_| ()).expect("the fixture is a report");
        let written = serde_json::to_string(&report).expect("a report is plain data");
        let again = parse(&written, Path::new("report.json")).expect("it was a report");
        assert_eq!(again, report);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("no/such/report.json")).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "cannot read no/such/report.json");
    }

    #[test]
    fn text_that_is_not_a_report_is_refused() {
        for text in ["", "{", "[]", "null", "{\"version\": 2}", &FIXTURE[..FIXTURE.len() / 2]] {
            let error = parse(text, Path::new("report.json")).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with("report.json: "), "{error}");
        }
        let doubled = format!("{FIXTURE}{FIXTURE}");
        assert!(parse(&doubled, Path::new("report.json")).is_err());
    }

    #[test]
    fn fields_that_are_not_known_are_named() {
        check_refused(|r| r["ancestors"][0]["speed"] = json!(1), &["ancestors[0]", "speed"]);
        check_refused(
            |r| r["experiments"][0]["kind"] = json!("magic"),
            &["experiments[0].kind", "magic"],
        );
    }

    #[test]
    fn not_a_number_is_refused() {
        // JSON has no NaN: writers put null or the bare word.
        let null = |r: &mut Value| r["ancestors"][0]["params"] = Value::Null;
        check_refused(null, &["ancestors[0].params", "null", "u64"]);
        let bare = FIXTURE.replacen("\"mean\":", "\"mean\":NaN,\"other\":", 1);
        let error = parse(&bare, Path::new("report.json")).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("line"), "{error}");
    }

    #[test]
    fn another_version_is_refused_before_its_fields() {
        for version in [1, 3] {
            let change = |r: &mut Value| (r["version"], r["new"]) = (json!(version), json!(0));
            check_refused(change, &[&format!("version is {version}, wanted 2")]);
        }
    }
}
