//! `learngene report`: a page from numbers.

use crate::workbench::Workbench;

const NUMBERS: &str = include_str!("../../src/report/fixture.json");

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
fn means_and_spreads_for_programs() {
    let drawn = bench().succeed_json("report report.json --out report.html --json");
    assert_eq!(drawn["page"], "report.html");
    let series = drawn["series"].as_array().expect("a list");
    assert!(!series.is_empty());
    for one in series {
        assert!(one["item"].is_string() && one["method"].is_string(), "{one}");
        assert!(one["top1_mean"].as_f64().is_some_and(|top1| (0.0..=100.0).contains(&top1)));
        assert!(one["seeds"].as_u64().is_some_and(|seeds| seeds > 0), "{one}");
    }
}

#[test]
fn numbers_that_are_none() {
    let bench = bench();
    let args = "report bad.json --out report.html";
    bench.check(args, 1, &["bad.json", "No such file"]);
    bench.write("bad.json", "");
    bench.check(args, 1, &["bad.json", "EOF"]);
    bench.write("bad.json", &NUMBERS[..NUMBERS.len() / 2]);
    bench.check(args, 1, &["bad.json", "EOF"]);
    bench.write("bad.json", NUMBERS.replacen("\"version\": 1", "\"version\": 9", 1));
    bench.check(args, 1, &["bad.json", "version is 9, wanted 1"]);
    bench.write("bad.json", NUMBERS.replacen("58.0", "158.0", 1));
    bench.check(args, 1, &["bad.json", "158"]);
}

#[test]
fn a_page_in_the_place_of_its_numbers() {
    bench().check(
        "report report.json --out report.json",
        1,
        &["report.json", "choose another --out"],
    );
}
