//! A small report for tests, and changes of it.

use std::path::Path;

use serde_json::Value;

use crate::{ReportError, data::Report, read::parse};

pub(crate) const FIXTURE: &str = include_str!("../tests/fixture.json");

/// The fixture after a change.
pub(crate) fn parse_changed(change: impl FnOnce(&mut Value)) -> Result<Report, ReportError> {
    let mut value: Value = serde_json::from_str(FIXTURE).expect("the fixture is JSON");
    change(&mut value);
    parse(&value.to_string(), Path::new("report.json"))
}

/// A change that makes the fixture wrong, and what the error must name.
#[track_caller]
pub(crate) fn check_refused(change: impl FnOnce(&mut Value), words: &[&str]) {
    let error = parse_changed(change).map(|_| ()).expect_err("this is wrong").to_string();
    for word in ["report.json"].iter().chain(words) {
        assert!(error.contains(word), "`{error}` does not tell `{word}`");
    }
}
