use std::path::Path;

use serde_json::{Value, json};

use super::*;

const FIXTURE: &str = include_str!("fixture.json");

/// The fixture after a change.
fn parse_changed(change: impl FnOnce(&mut Value)) -> Result<Report, ReportError> {
    let mut value: Value = serde_json::from_str(FIXTURE).expect("the fixture is JSON");
    change(&mut value);
    parse(&value.to_string(), Path::new("report.json"))
}

fn page(change: impl FnOnce(&mut Value)) -> String {
    render(&parse_changed(change).expect("the change leaves a report"))
}

fn fixture_page() -> String {
    page(|_| ())
}

/// The cells of the table row that holds all of `words`, without markup.
fn cells(page: &str, words: &[&str]) -> Vec<String> {
    let line = page
        .lines()
        .find(|line| words.iter().all(|word| line.contains(word)))
        .unwrap_or_else(|| panic!("no line with {words:?}"));
    let text = |cell: &str| {
        let pieces = cell.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, t)| t));
        pieces.collect::<String>()
    };
    line.split("<td").skip(1).map(|cell| text(&format!("<td{cell}"))).collect()
}

#[test]
fn every_evaluation_of_every_row_is_shown() {
    let (page, report) = (fixture_page(), parse_changed(|_| ()).expect("the fixture is a report"));
    for row in &report.rows {
        let cells: String =
            row.top1.iter().map(|top1| format!("<td class=\"n\">{top1:.1}</td>")).collect();
        let wanted = format!("<th scope=\"row\">seed {}</th>{cells}</tr>", row.seed);
        assert!(page.contains(&wanted), "{} is not shown: {wanted}", row.command);
        assert!(page.contains(&row.command), "{} is not shown", row.command);
    }
}

#[test]
fn means_and_spreads_are_those_by_hand() {
    let page = fixture_page();
    // (58 + 60) / 2 = 59 with spread √((1 + 1) / 1) = 1.41;
    // scratch: (40.2 + 44.2) / 2 = 42.2 with spread √((4 + 4) / 1) = 2.83.
    let centroid = cells(&page, &["Cluster-Learngene</th>", "centroid", "n = 2"]);
    assert_eq!(centroid[..3], ["centroid", "59.0 ± 1.4 n = 2", "+16.8"]);
    assert_eq!(centroid[5..], ["20,000", "19,000 95.0 %", "1,500,000"]);
    let scratch = cells(&page, &["From-Scratch</th>", "n = 2"]);
    assert_eq!(scratch[..3], ["–", "42.2 ± 2.8 n = 2", "–"]);
    // One seed: no spread.
    let origin = cells(&page, &["Cluster-Learngene</th>", "origin", "n = 1"]);
    assert_eq!(origin[..3], ["origin", "51.4 n = 1", "+9.2"]);
    let rescaled = cells(&page, &["Cluster-Learngene</th>", "rescaled", "n = 1"]);
    assert_eq!(rescaled[2], "−1.1");
}

#[test]
fn the_top_tells_size_and_the_best_descendant() {
    let page = fixture_page();
    for words in [
        "<strong>30.0 kB</strong> <span>30,000 bytes: 75.0 % of the ancestor's 40,000",
        "<strong>15.0 k</strong> <span>15,000: 75.0 % of the ancestor's 20,000",
        "<strong>59.0 ± 1.4 %</strong> <span>top-1 of L2 w=1, projection centroid, 2 seeds; the best of 3",
        "<strong>+16.8 points</strong> <span>the same shape by From-Scratch: 42.2 ± 2.8 %, 2 seeds; 64 steps",
        "<strong>−0.3 points</strong> <span>the same shape by Pretraining-Finetuning: 59.3 %, 1 seed",
        "trained on nothing, made up for tests. Its top-1 is 70.5 %.",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn a_longer_run_is_not_compared() {
    let page = page(|report| {
        for row in [3, 4] {
            report["rows"][row]["epochs"] = json!([1.0, 4.0]);
        }
    });
    assert_eq!(cells(&page, &["Cluster-Learngene</th>", "centroid", "n = 2"])[2], "–");
    assert!(!page.contains("the same shape by From-Scratch"));
}

#[test]
fn heads_that_look_equally_far_have_a_scale_of_their_own() {
    let page = page(|report| {
        report["learngene"]["mean_attention_distance"] =
            json!([[14.5, 15.0, 15.5], [16.0, 16.5, 17.0]]);
    });
    let figure = page.split_once("id=\"heads\"").expect("the figure is there").1;
    let lowest = figure.split_once("text-anchor=\"end\">").expect("a tick").1;
    assert!(lowest.starts_with("14.5<"), "{}", &lowest[..20]);
}

#[test]
fn heads_are_shown_with_their_clusters() {
    let page = fixture_page();
    // Layer 0: heads 1 and 2 make the largest cluster, represented by head 1.
    let layer = cells(&page, &["<th scope=\"row\">0</th>", "±"]);
    assert_eq!(layer, ["8.00 ± 0.50cluster 2 ★", "2.00 ± 0.25cluster 1 ★", "3.00 ± 0.12cluster 1"]);
    assert!(page.contains("Layer 0: 3 heads from 2.0 to 8.0 px in 2 clusters."));
    let title = "Layer 1, head 2: 12.00 ± 0.30 px, cluster 2 of 1 head, representative";
    assert!(page.contains(title));
}

#[test]
fn a_dropped_head_is_named_so() {
    let page = page(|report| {
        report["learngene"]["layers"][0] =
            json!({ "labels": [null, 0, 0], "sizes": [2], "representatives": [1] });
    });
    assert!(page.contains("Layer 0, head 0: 8.00 ± 0.50 px, dropped as noise"));
}

#[test]
fn frozen_features_are_shown_where_they_were_measured() {
    let frozen = |page: &str| page.contains("Features before training");
    let with = fixture_page();
    assert!(frozen(&with));
    let learngene = cells(&with, &["Cluster-Learngene</th>", "--part"]);
    assert_eq!(learngene[..3], ["centroid", "55.7", "61.9"]);
    assert!(!frozen(&page(|report| report["frozen"] = json!([]))));
}

#[test]
fn markup_in_the_report_is_text_on_the_page() {
    let evil = "<script>alert('x')</script>\"&";
    let page = page(|report| {
        for field in ["profile", "producer", "commit", "command"] {
            report[field] = json!(evil);
        }
        report["data"]["name"] = json!(evil);
        for field in ["name", "sha256", "note"] {
            report["ancestor"][field] = json!(evil);
        }
        report["learngene"]["convention"] = json!(evil);
        report["rows"][0]["family"] = json!(evil);
        for field in ["item", "head_ratio", "command"] {
            report["rows"][0][field] = json!(evil);
            report["frozen"][0][field] = json!(evil);
        }
        report["notes"][0] = json!(evil);
    });
    assert!(!page.contains("<script>alert"));
    assert!(!page.contains("alert('x')"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
}

#[test]
fn the_page_is_whole() {
    let page = fixture_page();
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "NaN"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn every_figure_has_a_title_and_a_description() {
    let page = fixture_page();
    let figures: Vec<&str> = page.split("<svg role=\"img\" aria-labelledby=\"").skip(1).collect();
    // Heads, one panel for each of two shapes, bars, accuracy.
    assert_eq!(figures.len(), 5);
    for figure in figures {
        let (ids, _) = figure.split_once('"').expect("the attribute ends");
        for id in ids.split(' ') {
            let (_, text) = figure.split_once(&format!("id=\"{id}\">")).expect(id);
            assert!(!text.starts_with('<'), "{id} is empty");
        }
    }
    // Every other drawing is part of one of these, or hidden from screen readers.
    for drawing in page.split("<svg ").skip(1) {
        let (attributes, _) = drawing.split_once('>').expect("the tag ends");
        let is_told = attributes.contains("role=\"img\"") || attributes.contains("aria-hidden");
        assert!(is_told || attributes.contains("class=\"head"), "{attributes}");
    }
}

/// A change that makes the fixture wrong, and what the error must name.
#[track_caller]
fn check_refused(change: impl FnOnce(&mut Value), words: &[&str]) {
    let error = parse_changed(change).map(|_| ()).unwrap_err().to_string();
    for word in ["report.json"].iter().chain(words) {
        assert!(error.contains(word), "`{error}` does not tell `{word}`");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = read(Path::new("no/such/report.json")).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "cannot read no/such/report.json");
}

#[test]
fn text_that_is_not_a_report_is_refused() {
    for text in ["", "{", "[]", "null", "{\"version\": 1}", &FIXTURE[..FIXTURE.len() / 2]] {
        let error = parse(text, Path::new("report.json")).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("report.json: "), "{error}");
    }
    let doubled = format!("{FIXTURE}{FIXTURE}");
    assert!(parse(&doubled, Path::new("report.json")).is_err());
}

#[test]
fn not_a_number_is_refused() {
    // JSON has no NaN: writers put null or the bare word.
    check_refused(|r| r["rows"][1]["top1"][1] = Value::Null, &["rows[1].top1[1]", "null", "f64"]);
    let bare = FIXTURE.replacen("58.0", "NaN", 1);
    let error = parse(&bare, Path::new("report.json")).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("line"), "{error}");
}

#[test]
fn percentages_out_of_range_are_refused() {
    for wrong in [-0.1, 100.1] {
        check_refused(|r| r["rows"][2]["top1"][0] = json!(wrong), &["rows[2].top1[0]", "100"]);
        check_refused(|r| r["ancestor"]["top1"] = json!(wrong), &["ancestor.top1"]);
        check_refused(|r| r["frozen"][1]["knn_top1"] = json!(wrong), &["frozen[1].knn_top1"]);
        check_refused(|r| r["frozen"][0]["linear_top1"] = json!(wrong), &["frozen[0].linear_top1"]);
    }
}

#[test]
fn runs_without_numbers_are_refused() {
    check_refused(|r| r["rows"] = json!([]), &["rows is empty", "at least one run"]);
    check_refused(
        |r| (r["rows"][0]["top1"], r["rows"][0]["epochs"]) = (json!([]), json!([])),
        &["rows[0].top1 is empty", "at least one evaluation"],
    );
}

#[test]
fn lists_of_another_length_are_refused() {
    check_refused(|r| r["rows"][0]["epochs"] = json!([1.0]), &["rows[0].epochs", "list of 1"]);
    check_refused(|r| r["rows"][0]["heads"] = json!([3]), &["rows[0].heads", "wanted 2"]);
    check_refused(|r| r["ancestor"]["num_heads"] = json!([3]), &["ancestor.num_heads"]);
    check_refused(|r| r["learngene"]["std"][1] = json!([0.1]), &["learngene.std[1]", "heads"]);
    check_refused(|r| r["learngene"]["layers"] = json!([]), &["learngene.layers"]);
}

#[test]
fn epochs_that_do_not_rise_are_refused() {
    check_refused(|r| r["rows"][0]["epochs"] = json!([2.0, 2.0]), &["rows[0].epochs", "rising"]);
}

#[test]
fn clusters_that_contradict_themselves_are_refused() {
    let layer = |labels: Value, sizes: Value, representatives: Value| {
        let mut layer = json!({ "labels": labels, "sizes": sizes });
        layer["representatives"] = representatives;
        layer
    };
    let cases = [
        (layer(json!([0, 1]), json!([1, 1]), json!([0, 1])), "labels"),
        (layer(json!([0, 1, 1]), json!([2, 1]), json!([1, 2])), "representatives[1]"),
        (layer(json!([0, 1, 1]), json!([2, 1]), json!([1, 9])), "representatives[1]"),
        (layer(json!([0, 1, 1]), json!([1, 2]), json!([1, 0])), "sizes[0]"),
        (layer(json!([0, 1, 1]), json!([2]), json!([1, 0])), "sizes"),
        (layer(json!([0, 1, 1]), json!([2, 1]), json!([1])), "representatives"),
    ];
    for (clusters, field) in cases {
        let field = format!("learngene.layers[1].{field} ");
        check_refused(|r| r["learngene"]["layers"][1] = clusters, &[&field]);
    }
}

#[test]
fn rows_of_one_mean_must_agree() {
    check_refused(
        |r| r["rows"][1]["seed"] = json!(0),
        &["rows[1].seed", "another seed than rows[0]"],
    );
    for (field, other) in [
        ("params", json!(20001)),
        ("macs", json!(7)),
        ("inherited_params", json!(1)),
        ("heads", json!([3, 2])),
        ("head_ratio", json!("2")),
        ("family", json!("swin")),
        ("epochs", json!([1.0, 3.0])),
    ] {
        let place = format!("rows[1].{field} is different");
        check_refused(|r| r["rows"][1][field] = other, &[&place, "rows[0]"]);
    }
}

#[test]
fn more_inherited_than_there_is_is_refused() {
    let change = |r: &mut Value| r["rows"][0]["inherited_params"] = json!(20_001);
    check_refused(change, &["rows[0].inherited_params is 20001", "20000"]);
}

#[test]
fn fields_that_are_not_known_are_named() {
    check_refused(|r| r["rows"][0]["speed"] = json!(1), &["rows[0]", "speed"]);
    check_refused(|r| r["rows"][0]["method"] = json!("magic"), &["rows[0].method", "magic"]);
    check_refused(
        |r| r["learngene"]["layers"][0]["clusters"] = json!([]),
        &["layers[0]", "clusters"],
    );
}

#[test]
fn a_newer_version_is_refused_before_its_fields() {
    let change = |r: &mut Value| (r["version"], r["new"]) = (json!(2), json!(0));
    check_refused(change, &["version is 2, wanted 1"]);
}

/// Two settings of one choice.
fn with_ablations(report: &mut Value) {
    let setting = |setting: &str, is_default: bool, rates: Value, top1: [f64; 2]| {
        let run = |seed: usize| {
            let command = format!("learngene train --out {setting}-{seed}");
            json!({"seed": seed, "top1": top1[seed], "command": command})
        };
        json!({"table": "order", "item": "L6 w=2", "setting": setting, "is_default": is_default,
            "epochs": 1, "learning_rate": 0.003, "tried_rates": rates, "stored_params": 9000,
            "inherited_params": 8000, "knn_top1": 41.5, "linear_top1": 52.5,
            "runs": [run(0), run(1)]})
    };
    let rates = json!({"0.003": 31.0, "0.01": 30.0});
    report["ablations"] = json!([
        setting("priority", true, json!(null), [50.0, 52.0]),
        setting("origin", false, rates, [40.0, 42.0]),
    ]);
}

#[test]
fn choices_are_shown_with_a_verdict() {
    let page = page(with_ablations);
    assert!(page.contains("order: L6 w=2, 1 epoch<"), "{page}");
    let priority = cells(&page, &["priority (default)</th>"]);
    assert_eq!(priority, ["0.003", "51.0 ± 1.4 n = 2", "41.5", "52.5", "9,000", "8,000"]);
    assert!(page.contains("0.003: 31.0 %, 0.01: 30.0 %"));
    assert!(page.contains("The default, priority, measured best."));
    for run in ["priority-0", "priority-1", "origin-0", "origin-1"] {
        assert!(page.contains(&format!("learngene train --out {run}")), "{run} is not shown");
    }
}

#[test]
fn choices_that_cannot_be_are_refused() {
    let refused = |change: fn(&mut Value), words: &[&str]| {
        check_refused(|r| (with_ablations(r), change(&mut r["ablations"][1])).1, words);
    };
    refused(|a| a["runs"] = json!([]), &["ablations[1].runs is empty"]);
    refused(|a| a["runs"][1]["seed"] = json!(0), &["ablations[1].runs[1].seed is 0"]);
    refused(|a| a["knn_top1"] = json!(101.0), &["ablations[1].knn_top1 is 101"]);
    refused(|a| a["learning_rate"] = json!(-1.0), &["ablations[1].learning_rate is -1"]);
    refused(|a| a["tried_rates"]["0.01"] = json!(-2.0), &["ablations[1].tried_rates.0.01 is -2"]);
}
