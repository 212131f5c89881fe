//! `learngene report`: a page from numbers.

use crate::workbench::Workbench;

const NUMBERS: &str = include_str!("../../../learngene-report/tests/fixture.json");

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.write("report.json", NUMBERS);
    bench
}

#[test]
fn a_page_that_needs_no_other_file() {
    let bench = bench();
    let said = bench.succeed("report report.json --out report.html");
    assert!(said.starts_with("report.html: "), "{said}");
    let page = String::from_utf8(bench.read("report.html")).expect("a page is text");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    for outside in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!page.contains(outside), "the page needs {outside}");
    }
}

#[test]
fn the_same_numbers_give_the_same_page() {
    let bench = bench();
    bench.succeed("report report.json --out a.html");
    bench.succeed("report report.json --out b.html");
    assert!(bench.read("a.html") == bench.read("b.html"));
}

#[test]
fn verdicts_for_programs() {
    let drawn = bench().succeed_json("report report.json --out report.html --json");
    assert_eq!(drawn["page"], "report.html");
    let (cells, run) = (drawn["cells"].as_u64(), drawn["cells_run"].as_u64());
    assert!(run < cells && run > Some(0), "{run:?} of {cells:?}");
    let findings = drawn["findings"].as_array().expect("a list");
    assert!(!findings.is_empty());
    for one in findings {
        assert!(one["verdict"].is_string() && one["claim"].is_string(), "{one}");
    }
}

#[test]
fn numbers_that_are_none() {
    let bench = bench();
    let args = "report bad.json --out report.html";
    bench.check(args, &["bad.json", "No such file"]);
    bench.write("bad.json", "");
    bench.check(args, &["bad.json", "EOF"]);
    bench.write("bad.json", &NUMBERS[..NUMBERS.len() / 2]);
    bench.check(args, &["bad.json", "EOF"]);
    bench.write("bad.json", NUMBERS.replacen("\"version\": 2", "\"version\": 9", 1));
    bench.check(args, &["bad.json", "version is 9, wanted 2"]);
    bench.write("bad.json", NUMBERS.replacen("\"mean\": 5", "\"mean\": 15", 1));
    bench.check(args, &["bad.json", "mean"]);
    bench.write("bad.json", "{}");
    let parts = ["bad.json is no report that `cargo xtask reproduce` wrote", "version"];
    bench.check(args, &parts);
}

#[test]
fn a_page_in_the_place_of_its_numbers() {
    bench().check(
        "report report.json --out report.json",
        &["wanted a name that ends in .html", "got `report.json`"],
    );
}
