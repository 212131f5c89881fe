//! Classes and features of images.

use learngene_tensors::Safetensors;

use crate::workbench::{TINY, Workbench};

/// A model that tells cats from dogs, in `run`.
fn trained() -> Workbench {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 5);
    bench.succeed(&format!("train {TINY} --data pets --epochs 1 --batch-size 8 --out run"));
    bench
}

#[test]
fn classes_have_the_names_that_they_had_in_training() {
    let bench = trained();
    let said = bench.succeed("predict run --num-heads 3 pets/test/cat pets/test/dog/0.png");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 6, "{said}");
    assert!(lines[0].starts_with("pets/test/cat/0.png: "), "{said}");
    assert!(lines[5].starts_with("pets/test/dog/0.png: "), "{said}");
    for line in lines {
        assert!(line.contains("cat ") && line.contains("dog ") && line.ends_with(" %"), "{line}");
    }

    let all = bench.succeed_json("predict run --num-heads 3 pets/test --json");
    let all = all.as_array().expect("a list");
    assert_eq!(all.len(), 10);
    for image in all {
        let probability = |class: usize| image["classes"][class]["probability"].as_f64();
        let [likely, other] = [0, 1].map(|class| probability(class).expect("of both classes"));
        assert!(likely >= other && (likely + other - 1.0).abs() < 1e-9, "{image}");
    }
    let csv = bench.succeed("predict run --num-heads 3 pets/test --top 1 --csv");
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!((rows[0], rows.len()), ("image,class,probability", 11), "{csv}");
    assert_eq!(rows[10].split(',').next(), all[9]["image"].as_str());
}

#[test]
fn features_are_those_that_the_classifier_reads() {
    let bench = trained();
    let said = bench.succeed(&format!("predict {TINY} pets/test/cat --features f.safetensors"));
    assert!(said.ends_with(" features of 5 images\n"), "{said}");
    let file = Safetensors::open(&bench.path("f.safetensors")).expect("it was just written");
    let width = file.tensors["features"].shape[1];
    assert_eq!(said, format!("f.safetensors: {width} features of 5 images\n"));
    assert_eq!(file.tensors["features"].shape, [5, width]);
}

#[test]
fn a_model_without_a_classifier_and_what_is_no_image() {
    let bench = trained();
    bench.succeed(
        "expand --method from-scratch --checkpoint tiny.safetensors --num-heads 3 --num-classes 0 \
         --out bare.safetensors",
    );
    bench.check("predict bare.safetensors pets/test/cat", &["has no classifier", "--features"]);
    bench.check(&format!("predict {TINY} nowhere.jpg"), &["nowhere.jpg"]);
    bench.check(&format!("predict {TINY}"), &["<IMAGES>..."]);
}
