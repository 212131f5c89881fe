use serde_json::{Value, json};

use super::*;
use crate::{
    data::{Outcome, Report},
    findings::{Verdict, findings},
    fixture::parse_changed,
};

fn page(change: impl FnOnce(&mut Value)) -> String {
    render(&parse_changed(change).expect("the change leaves a report"))
}

fn fixture() -> Report {
    parse_changed(|_| ()).expect("the fixture is a report")
}

/// The section of one experiment.
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let start = page.find(&format!("<section id=\"{id}\"")).expect("the section is there");
    page[start..].split("</section>").next().expect("split gives at least one")
}

/// The cells of a table's row, without markup.
fn cells(section: &str, row: &str) -> Vec<String> {
    let head = format!("<tr><th scope=\"row\">{row}</th>");
    let line = section.lines().find(|line| line.starts_with(&head)).expect("the row is there");
    let text = |cell: &str| {
        let pieces = cell.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, t)| t));
        pieces.collect::<String>()
    };
    line.split("<td").skip(1).map(|cell| text(&format!("<td{cell}"))).collect()
}

#[test]
fn our_numbers_stand_beside_the_papers() {
    let page = page(|_| ());
    // (40.2 + 44.2) / 2 = 42.2 with spread √((4 + 4) / 1) = 2.83; the paper's is 40.
    let table = section(&page, "table1_sizes");
    let scratch = cells(table, "From-Scratch");
    assert_eq!(scratch, ["42.2 ± 2.8 n = 2 paper 40.0 (+2.2)", "not run (a) paper 41.5"]);
    assert_eq!(cells(table, "Cluster-Learngene"), ["59.0 ± 1.4 n = 2", "not run (a)"]);
    assert!(table.contains("from made up for tests. Its models and images are larger ones."));
    let counts = cells(section(&page, "table6_sets"), "CIFAR-10");
    assert_eq!(counts, ["50,000 paper 50,000 (0)", "10,000 paper 10,000 (0)"]);
}

#[test]
fn a_paper_without_numbers_is_told() {
    let words = "No source of ours gives the paper&#39;s numbers";
    let page = page(|_| ());
    assert!(section(&page, "table5_order").contains(words));
    // What goes beyond the paper has no number there.
    assert!(!section(&page, "beyond_sizes").contains(words));
}

#[test]
fn every_run_and_every_reason_is_shown() {
    let (report, page) = (fixture(), page(|_| ()));
    for experiment in &report.experiments {
        let section = section(&page, &experiment.id);
        for cell in &experiment.cells {
            let told = match &cell.outcome {
                Outcome::NotRun { reason } => vec![reason.clone()],
                Outcome::Run(measured) => measured
                    .runs
                    .iter()
                    .flat_map(|run| run.commands.iter().chain([&run.key]).cloned())
                    .collect(),
            };
            for text in told {
                assert!(section.contains(&Text(&text).to_string()), "{text} is not shown");
            }
        }
    }
}

#[test]
fn every_evaluation_is_in_a_table() {
    let (report, page) = (fixture(), page(|_| ()));
    for experiment in &report.experiments {
        let section = section(&page, &experiment.id);
        for (cell, measured) in experiment.run_cells() {
            let digits = experiment.digits(cell.measure);
            for point in measured.curve() {
                let want = format!("<td class=\"n\">{}</td>", digits.spread(point.top1));
                assert!(section.contains(&want), "{}: {want}", cell.row);
            }
        }
    }
}

#[test]
fn the_summary_links_every_finding_to_its_place() {
    let (report, page) = (fixture(), page(|_| ()));
    let summary = section(&page, "summary");
    let findings = findings(&report);
    for verdict in Verdict::ALL {
        assert!(findings.iter().any(|finding| finding.verdict == verdict), "{verdict:?}");
    }
    for finding in findings {
        let (id, claim) = (&finding.experiment, Text(&finding.claim));
        let link = format!("<a href=\"#{id}\">{claim}</a>");
        assert!(summary.contains(&link), "{link}");
        assert!(section(&page, id).contains(&claim.to_string()), "{claim}");
    }
}

#[test]
fn links_lead_somewhere_on_the_page() {
    let page = page(|_| ());
    for link in page.split("href=\"").skip(1) {
        let target = link.split('"').next().and_then(|link| link.strip_prefix('#'));
        let target = target.expect("links stay on the page");
        assert_eq!(page.matches(&format!("id=\"{target}\"")).count(), 1, "{target}");
    }
}

#[test]
fn ids_are_given_once() {
    let page = page(|_| ());
    for id in page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
    }
}

#[test]
fn heads_are_shown_with_their_clusters() {
    let page = page(|_| ());
    let figure = section(&page, "fig1c_densities");
    // One cluster of three, represented by the head nearest their mean, 4.56.
    let heads = ["4.11 ± 0.30cluster 1", "4.78 ± 0.38cluster 1 ★", "4.80 ± 0.37cluster 1"];
    let cells = cells(figure, "0");
    assert_eq!((&*cells[0], &cells[1..4]), ("16.69", &heads.map(str::to_owned)[..]));
    assert!(figure.contains("Layer 0: 3 heads from 4.1 to 4.8 px in 1 cluster."));
    assert!(figure.contains("Layer 0, 1 centroid: head 0 from 1, head 1 from 1, head 2 from 1."));
}

#[test]
fn a_dropped_head_is_named_so() {
    let page = page(|report| {
        report["ancestors"][0]["learngene"]["layers"][0] =
            json!({ "labels": [null, 0, 0], "sizes": [2], "representatives": [1] });
    });
    assert!(page.contains("Layer 0, head 0: 4.11 ± 0.30 px, dropped as noise"));
}

#[test]
fn the_speed_up_is_marked_and_a_bound_is_told_as_one() {
    let page = page(|_| ());
    let reached = section(&page, "fig5_curves");
    assert!(reached.contains(">4.0 ×</text>"));
    assert!(reached.contains("from scratch needs 4.0 times the steps"));
    let bound = section(&page, "fig8_curves");
    assert!(bound.contains(">≥ 2.0 ×</text>"));
    assert!(bound.contains("from scratch needs at least 2.0 times the steps"));
    assert!(bound.contains("its budget: never reached"));
}

#[test]
fn figures_without_data_say_so() {
    let page = page(|report| report["ancestors"][0]["attention"] = json!([]));
    assert!(section(&page, "fig6_attention").contains("This report holds no attention maps."));
    assert!(section(&page, "summary").contains("Fig. 6: nothing to draw"));
}

#[test]
fn markup_in_the_report_is_text_on_the_page() {
    let evil = "<script>alert('x')</script>\"&";
    let page = page(|report| {
        for field in ["producer", "commit", "command"] {
            report[field] = json!(evil);
        }
        report["notes"][0] = json!(evil);
        for field in ["name", "note"] {
            report["ancestors"][0][field] = json!(evil);
        }
        report["ancestors"][0]["attention"][2]["model"] = json!(evil);
        for experiment in report["experiments"].as_array_mut().expect("a list") {
            for field in ["title", "about"] {
                experiment[field] = json!(evil);
            }
            experiment["full_scale"] = json!({ "needs": evil, "commands": [evil] });
            if experiment["data"].is_object() {
                (experiment["data"]["name"], experiment["recipe"]["file"]) =
                    (json!(evil), json!(evil));
            }
            let cells = experiment["cells"].as_array_mut().expect("a list");
            for (index, cell) in cells.iter_mut().enumerate() {
                cell["row"] = json!(format!("{index}{evil}"));
                if let Some(reason) = cell.pointer_mut("/outcome/not-run/reason") {
                    *reason = json!(evil);
                }
                if let Some(run) = cell.pointer_mut("/outcome/run") {
                    run["runs"][0]["commands"] = json!([evil]);
                }
                if let Some(source) = cell.pointer_mut("/paper/source") {
                    *source = json!(evil);
                }
            }
        }
    });
    assert!(!page.contains("<script>alert"));
    assert!(!page.contains("alert('x')"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
}

#[test]
fn the_page_is_whole() {
    let page = page(|_| ());
    for outside in ["http:", "https:", "url(", "@import", "NaN", "inf", "<link"] {
        // "inf" is a number that went wrong only where no letter follows.
        let found = page.match_indices(outside).any(|(place, _)| {
            let next = page[place + outside.len()..].chars().next();
            outside != "inf" || !next.is_some_and(char::is_alphabetic)
        });
        assert!(!found, "{outside}");
    }
    for source in page.split(" src=\"").skip(1) {
        assert!(source.starts_with("data:image/png;base64,"), "{}", &source[..30]);
    }
    assert!(page.contains("default-src 'none'; img-src data:; "));
}

#[test]
fn every_drawing_has_a_text_alternative() {
    let page = page(|_| ());
    for drawing in page.split("<svg ").skip(1) {
        let (attributes, _) = drawing.split_once('>').expect("the tag ends");
        let is_told =
            attributes.contains("role=\"img\" aria-label=\"") || attributes.contains("aria-hidden");
        // Heads are drawings inside the drawing of their layer.
        assert!(is_told || attributes.contains("class=\"head"), "{attributes}");
    }
    for image in page.split("<img ").skip(1) {
        assert!(image.starts_with("alt=\"Attention map of "), "{}", &image[..60]);
    }
}
