//! What else can be asked of the path: shared FFNs, fitted projections, transformations, width.

use predicates::prelude::*;

use crate::workbench::{AGAINST, TINY, Workbench};

#[test]
fn ffns_of_adjacent_layers_are_joined() {
    let bench = Workbench::new();
    bench.photos("photos", 6);
    let condense = format!("condense {TINY} --images photos --eps 0.2");
    bench.succeed(&format!("{condense} --out own.learngene"));
    bench.succeed(&format!("{condense} --ffn 1-2 --out joined.learngene"));
    let manifest = bench.succeed_json("inspect joined.learngene --json");
    assert_eq!(manifest["clusters"]["ffn"]["groups"][1]["layers"], serde_json::json!([1, 2]));
    let stored = |name: &str| {
        let manifest = bench.succeed_json(&format!("inspect {name} --json"));
        manifest["parameters"]["stored"].as_u64().expect("a number")
    };
    assert!(stored("joined.learngene") < stored("own.learngene"));
    let said = bench.succeed("inspect joined.learngene");
    let ffns = "FFNs         2 for 3 layers, joined as given: layers ";
    assert!(said.contains(ffns) && said.contains(", the one in brackets is kept\n"), "{said}");
    bench.succeed(&format!("{condense} --ffn 1-2 --ffn-representative mean --out mean.learngene"));
    let said = bench.succeed("inspect mean.learngene");
    assert!(said.contains(&format!("{ffns}1 2, their mean is kept\n")), "{said}");
    let said = bench.succeed("inspect own.learngene");
    assert!(said.contains("FFNs         each layer keeps its own\n"), "{said}");
    bench.succeed("expand joined.learngene --out d.safetensors");
    let ffn = &bench.json("d.json")["ffn"];
    assert_eq!(*ffn, serde_json::json!([0, 1, 1]));

    // All three layers have as many clusters, and no distance differs by so much.
    bench.succeed(&format!(
        "condense {TINY} --images photos --eps 9 --ffn paper:99 --out p.learngene"
    ));
    let manifest = bench.succeed_json("inspect p.learngene --json");
    let ffn = &manifest["clusters"]["ffn"];
    assert_eq!(ffn["groups"], serde_json::json!([{"layers": [0, 1, 2], "representative": 0}]));
    assert_eq!(ffn["algorithm"]["name"], "paper");
    let said = bench.succeed("inspect p.learngene");
    assert!(said.contains("by the paper's rule with eps 99.000 px: layers [0] 1 2"), "{said}");
    bench.succeed("expand p.learngene --out d.safetensors");
}

#[test]
fn help_says_what_chooses_the_best_checkpoint() {
    let said = Workbench::new().succeed("train --help");
    assert!(said.contains("best.safetensors is the checkpoint of the highest top-1"), "{said}");
}

#[test]
fn fitted_projections_are_shown_and_used() {
    let bench = Workbench::new();
    bench.photos("photos", 8);
    let condense = format!("condense {TINY} --images photos");
    bench.succeed(&format!("{condense} --eps 5 --refit --out r.learngene"));
    let refit = &bench.succeed_json("inspect r.learngene --json")["refit"];
    let fit = &refit["layers"][0]["attention"];
    let error = |when: &str| fit[when]["relative"].as_f64().expect("a number");
    assert!(error("after") <= error("before"), "{fit}");
    let said = bench.succeed("inspect r.learngene");
    assert!(said.contains("attention: error "), "{said}");
    let said = bench.succeed(&format!("inspect r.learngene {AGAINST}"));
    assert!(said.contains("fitted to the ancestor's outputs and cannot be compared"), "{said}");
    bench.succeed("expand r.learngene --heads 1 --out d.safetensors");
    bench.check(
        "expand r.learngene --projection centroid --out d.safetensors",
        &["projection `centroid`"],
    );
    bench.check(
        &format!("{condense} --refit --ffn 0-1 --out s.learngene"),
        &["learngene to refit: found layers that share an FFN"],
    );
    bench.succeed(&format!("{condense} --paper --out plain.learngene"));
    bench.check(
        &format!("{condense} --paper --ridge 1 --out s.learngene"),
        &["--ridge has no effect where nothing is fitted", "--refit"],
    );
    bench.check(
        "expand plain.learngene --projection refit --out d.safetensors",
        &["projection `refit`", "--refit"],
    );
}

#[test]
fn learngenes_of_a_size_give_descendants_of_any_smaller_one() {
    let bench = Workbench::new();
    bench.photos("photos", 40);
    let condense = format!("condense {TINY} --images photos --max-size");
    bench.check(&format!("{condense} 1K --out s.learngene"), &["largest size: found 1000 bytes"]);
    for (value, wanted) in [("half", "such as 5M"), ("-1", "such as 5M"), ("x%", "such as 50%")] {
        let refused = format!("{condense} {value} --out s.learngene");
        bench.check(&refused, &["--max-size", wanted]);
    }
    let all = format!("{condense} 1000% --heads-by density --out all.learngene");
    let made = bench.succeed_json(&format!("{all} --json"));
    assert_eq!(made["kept_heads"], made["heads"]);
    let rows = bench.succeed_json("sizes all.learngene --json");
    let rows = rows.as_array().expect("a list");
    let parameters = |row: &serde_json::Value| row["parameters"].as_u64().expect("a number");
    assert!(rows.is_sorted_by(|one, next| parameters(one) < parameters(next)));
    let smaller = parameters(&rows[rows.len() / 2]);
    let expand = "expand all.learngene --num-classes 0 --out d.safetensors";
    let made = bench.succeed_json(&format!("{expand} --max-params {smaller} --json"));
    assert_eq!(made["parameters"], smaller);
    let macs = rows[1]["macs"].as_u64().expect("a number");
    let made = bench.succeed_json(&format!("{expand} --max-macs {macs} --json"));
    assert!(made["macs"].as_u64().expect("a number") <= macs);
    let small = ["--max-params cannot be met: the smallest model needs ", "found 10"];
    bench.check(&format!("{expand} --max-params 10"), &small);
    let timed = bench.succeed_json("sizes all.learngene --device flex --rows 3 --json");
    assert!(timed[0]["milliseconds"].as_f64() < timed[2]["milliseconds"].as_f64(), "{timed}");
    bench.succeed(&format!("{expand} --max-latency 10s"));
    let small = ["--max-latency cannot be met: the smallest model needs 0.", "found 0.001 ms"];
    bench.check(&format!("{expand} --max-latency 1us"), &small);
    bench.check(&format!("{expand} --max-latency 10"), &["wanted a time such as 10ms"]);
    bench.check(&format!("{expand} --max-params 1M --depth 1"), &["--max-params", "--depth"]);
    bench.succeed(&format!("{condense} 1000% --one-size --out one.learngene"));
    let length = |name: &str| bench.read(name).len();
    assert!(length("one.learngene") < length("all.learngene"));

    bench.succeed(&format!("condense {TINY} --images photos --paper --out clusters.learngene"));
    for command in [
        "sizes clusters.learngene",
        "expand clusters.learngene --max-params 1M --out d.safetensors",
    ] {
        bench.check(command, &["without --paper"]);
    }
}

/// By clusters, fitted or not, and by size; all that reads a learngene reads it.
#[test]
fn learngenes_are_stored_in_few_bits() {
    let bench = Workbench::new();
    bench.photos("photos", 40);
    let condense = format!("condense {TINY} --images photos");
    for more in ["--keep-projection", "--refit", "--max-size 1000%"] {
        let lengths = ["f16", "int8", "int4"].map(|store| {
            bench.succeed(&format!("{condense} {more} --store {store} --out s.learngene"));
            let said = bench.succeed("inspect s.learngene");
            assert!(said.contains(&format!("%), {store}\n")), "{said}");
            bench.succeed(&format!("inspect s.learngene {AGAINST}"));
            bench.succeed("expand s.learngene --heads 1 --num-classes 2 --out d.safetensors");
            bench.read("s.learngene").len()
        });
        assert!(lengths.is_sorted_by(|wide, narrow| wide > narrow), "{more}: {lengths:?}");
    }
    bench.succeed("sizes s.learngene");
    bench.succeed("expand s.learngene --max-params 80K --num-classes 0 --out d.safetensors");
    let unknown = format!("{condense} --store int2 --out s.learngene");
    bench.check(&unknown, &["--store", "f16, int8, int4"]);
}

#[test]
fn transformations_are_learnt_and_folded() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 6);
    let expand = "expand tiny.learngene --heads 6 --num-classes 2";
    bench.succeed(&format!("{expand} --out d.safetensors"));
    let train = "train d.safetensors --data pets --batch-size 4 --epochs 2 \
                 --lr 0.00078125";
    let flags = "--transform-ffn low-rank:2 --transform-heads low-rank:2";
    let args = format!("{train} {flags} --out run");
    let phases = predicate::str::contains("\ntransformations: epoch 1.00  learning rate ")
        .and(predicate::str::contains("\nfine-tuning: epoch 1.00  learning rate "));
    bench.command(&args).assert().success().stderr(phases);
    let learnt = "run/warm_up/transformations.safetensors";
    let before = bench.read(learnt);
    // A run that ended is not repeated, and keeps what was learnt.
    bench.succeed(&format!("{train} {flags} --out run"));
    assert!(before == bench.read(learnt));
    bench.check(
        &format!("{train} --transform-ffn scale-shift --out run"),
        &["warm_up holds a warm-up of other transformations"],
    );

    // Stopped between the end of the warm-up and the file.
    std::fs::remove_file(bench.path(learnt)).expect("it was just read");
    bench.check(
        &format!("{train} {flags} --out run"),
        &["run/warm_up/transformations.safetensors is missing", "remove run/warm_up, and the same"],
    );
    std::fs::remove_dir_all(bench.path("run/warm_up")).expect("it was told to");
    bench.succeed(&format!("{train} {flags} --out run"));
    assert!(before == bench.read(learnt));

    // The warm-up's own checkpoint is what folding its transformations in gives, except for the
    // classifier, which learnt too.
    bench.succeed(&format!("{expand} --fold {learnt} --out folded.safetensors"));
    assert!(bench.read("folded.safetensors") != bench.read("d.safetensors"));
    let other = "expand tiny.learngene --heads 5 --num-classes 2";
    bench.check(
        &format!("{other} --fold {learnt} --out x.safetensors"),
        &["was not learnt by such"],
    );
    bench.check(
        &format!("{expand} --order increasing --fold {learnt} --out x.safetensors"),
        &["was not learnt by such", "order is \"priority\" there, \"increasing\" here"],
    );
    bench.check(&format!("{expand} --fold pets --out x.safetensors"), &["cannot read pets"]);
    assert_eq!(bench.json("folded.json")["folded_sha256"].as_str().map(str::len), Some(64));
    bench.check(&format!("{train} --transform-epochs 1 --out other"), &["--transform-ffn"]);
    bench.succeed("expand tiny.learngene --heads 1 --num-classes 2 --out one.safetensors");
    bench.check(
        "train one.safetensors --data pets --batch-size 4 --epochs 2 \
         --transform-heads low-rank --out other",
        &["there is nothing to transform: no layer holds copies of a head"],
    );
    bench.check(
        &format!("{train} {flags} --transform-epochs 2 --out other"),
        &["--transform-epochs must be at least 1 and leave an epoch of the 2", "got 2"],
    );
    std::fs::remove_file(bench.path("d.json")).expect("it was just written");
    bench.check(
        &format!("{train} {flags} --out other"),
        &["transformations need the description that `expand` writes beside the checkpoint"],
    );
}

#[test]
fn other_widths_and_new_layers() {
    let bench = Workbench::with_learngene();
    let expand = |flags: &str| format!("expand tiny.learngene {flags} --out d.safetensors");
    bench.succeed(&expand("--embed-dim 96 --depth 5 --new-layers identity"));
    let description = bench.json("d.json");
    assert_eq!(description["shape"]["embed_dim"], 96);
    assert_eq!(description["shape"]["hidden_dim"], serde_json::json!(vec![384; 5]));
    bench.succeed(&expand("--embed-dim 24 --mlp-ratio 8/3"));
    assert_eq!(bench.json("d.json")["shape"]["hidden_dim"], serde_json::json!(vec![64; 3]));
    bench.check(&expand("--mlp-ratio 0"), &["--mlp-ratio", "ratio"]);
    bench.check(&expand("--embed-dim 25 --mlp-ratio 8/3"), &["layer 0", "found 200/3"]);
    bench.check(&expand("--embed-dim 0"), &["embed_dim: found 0, expected at least 1"]);
}

#[test]
fn inspect_draws_what_comes_from_what() {
    let bench = Workbench::with_learngene();
    bench.succeed("inspect tiny.learngene --svg clusters.svg");
    bench.succeed("expand tiny.learngene --depth 2 --heads 4 --out d.safetensors");
    let said = bench.succeed("inspect d.json --svg origins.svg");
    assert!(said.contains("layer  1 from the ancestor's  1: heads from "), "{said}");
    for (file, circles) in [("clusters.svg", 9 + 3), ("origins.svg", 2 * 4 + 2)] {
        let svg = String::from_utf8(bench.read(file)).expect("SVG is text");
        assert!(svg.matches("<circle").count() >= circles, "{file}");
    }
    bench.write("other.json", r#"{"layers":[0]}"#);
    bench.check("inspect other.json", &["other.json is not what `expand` writes"]);
    let mut wrong = bench.json("d.json");
    wrong["shape"]["num_heads"] = serde_json::json!([]);
    bench.write("wrong.json", wrong.to_string());
    let parts = ["wrong.json is not what `expand` writes: ", "depth: found 0, expected at least 1"];
    bench.check("inspect wrong.json", &parts);
}

#[test]
fn inspect_says_what_other_files_are() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    bench.succeed(&format!("probe {TINY} --images photos --out distances.json"));
    bench.succeed("cluster --distances distances.json --eps 0.2 --out clusters.json");
    bench.succeed("expand tiny.learngene --format hf --out hf/model.safetensors");
    bench.succeed(&format!("train {TINY} --data pets --epochs 1 --batch-size 4 --out run"));
    let reads = "`inspect` reads a learngene, a checkpoint, or the .json that `expand` leaves";
    for (file, what) in [
        ("distances.json", "distances.json holds distances of `learngene probe`: `condense --dist"),
        ("clusters.json", "clusters.json holds clusters of `learngene cluster`: `condense --clu"),
        ("hf/config.json", "hf/config.json holds the configuration of a checkpoint"),
        ("run/identity.json", "run/identity.json holds the identity of a training run"),
    ] {
        bench.check(&format!("inspect {file}"), &[what, reads]);
    }
}
