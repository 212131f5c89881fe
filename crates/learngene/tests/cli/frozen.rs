//! Features judged without training.

use crate::workbench::{TINY, Workbench};

fn pets() -> Workbench {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 5);
    bench
}

#[test]
fn one_way_is_an_object_and_several_are_a_list() {
    let bench = pets();
    let eval = format!("eval {TINY} --data pets --json --frozen");
    let knn = bench.succeed_json(&format!("{eval} knn --k 3"));
    assert_eq!((&knn["frozen"], &knn["images"]), (&"knn".into(), &10.into()));
    let linear = bench.succeed_json(&format!("{eval} linear"));
    assert_eq!(knn["k"], 3);
    assert_eq!((&linear["frozen"], &linear["ridge"]), (&"linear".into(), &0.01.into()));
    let top1 = linear["top1"].as_f64().expect("a number");
    assert!((0.0..=100.0).contains(&top1), "{top1} is no percentage");

    let both = bench.succeed_json(&format!("{eval} knn,linear --k 3"));
    assert_eq!(both, serde_json::json!([knn, linear]));
}

#[test]
fn people_are_told_in_words() {
    let bench = pets();
    let said = bench.succeed(&format!("eval {TINY} --data pets --frozen linear --ridge 0.5"));
    assert!(said.starts_with("top-1 "), "{said}");
    assert!(said.ends_with(" % by linear probe, ridge 0.5 on 10 images\n"), "{said}");
}

#[test]
fn features_are_the_class_token_or_the_mean_patch() {
    let bench = pets();
    let eval = format!("eval {TINY} --data pets --frozen linear");
    assert_eq!(bench.succeed_json(&format!("{eval} --json"))["pool"], "token");
    assert_eq!(bench.succeed_json(&format!("{eval} --pool avg --json"))["pool"], "avg");
    let said = bench.succeed(&format!("{eval} --pool avg"));
    assert!(said.ends_with(" of mean patches on 10 images\n"), "{said}");
    bench.check(&format!("eval {TINY} --data pets --pool avg"), &["--frozen"]);
}

/// The model tells 7 classes apart, the images have 2: a classifier is not asked.
#[test]
fn no_classifier_is_needed() {
    let bench = pets();
    bench.check(&format!("eval {TINY} --data pets"), &["found 2, expected 7"]);
    bench.succeed(&format!("eval {TINY} --data pets --frozen knn"));
}

#[test]
fn training_images_are_not_compared_with_themselves() {
    pets().check(
        &format!("eval {TINY} --data pets --split train --frozen knn"),
        &["--frozen compares test images with training images"],
    );
}

#[test]
fn more_neighbours_than_training_images_are_refused() {
    let parts = ["--k asks for 11 neighbours", "there are 10 training images"];
    pets().check(&format!("eval {TINY} --data pets --frozen knn --k 11"), &parts);
}

#[test]
fn settings_of_a_way_that_is_not_asked_for_are_refused() {
    let bench = pets();
    let eval = format!("eval {TINY} --data pets --frozen");
    bench.check(&format!("{eval} linear --k 3"), &["--k has no effect without --frozen knn"]);
    let parts = ["--ridge has no effect without --frozen linear"];
    bench.check(&format!("{eval} knn --ridge 1"), &parts);
}

#[test]
fn numbers_out_of_range_are_refused() {
    let bench = pets();
    let eval = format!("eval {TINY} --data pets --frozen linear");
    bench.check(&format!("{eval} --ridge=-1"), &["found -1, expected 0 or a positive"]);
    bench.check(&format!("{eval} --k 0"), &["--k"]);
    bench.check(&format!("{eval},guess"), &["guess", "knn", "linear"]);
}
