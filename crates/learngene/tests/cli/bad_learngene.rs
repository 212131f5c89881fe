//! Learngene files that are not what they should be: each is refused by its path.

use crate::workbench::{TINY, Workbench};

/// Gives a learngene with these changes to the commands that read one.
fn check(change: impl FnOnce(&mut Vec<u8>), parts: &[&str]) {
    let bench = Workbench::with_learngene();
    let mut bytes = bench.read("tiny.learngene");
    change(&mut bytes);
    bench.write("bad.learngene", bytes);
    refuse(&bench, parts);
}

fn refuse(bench: &Workbench, parts: &[&str]) {
    let parts = [&["bad.learngene"], parts].concat();
    bench.check("expand bad.learngene --out d.safetensors", &parts);
    bench.check("expand bad.learngene --method from-scratch --out d.safetensors", &parts);
    bench.check("inspect bad.learngene", &parts);
}

/// Replaces a text of the manifest, as it is spelled inside the header, by one of the same length.
fn replace(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
    let at = at.expect("the manifest holds the text");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
}

#[test]
fn a_missing_file() {
    refuse(&Workbench::new(), &["No such file"]);
}

#[test]
fn a_checkpoint() {
    let bench = Workbench::new();
    bench.write("bad.learngene", bench.read("tiny.safetensors"));
    refuse(&bench, &["expected"]);
}

#[test]
fn a_file_of_another_kind() {
    check(|bytes| *bytes = b"{\"layers\": []}".to_vec(), &["expected"]);
}

#[test]
fn an_edited_manifest() {
    check(
        |bytes| replace(bytes, r#"\"images\":6,"#, r#"\"images\":9,"#),
        &["manifest", "expected"],
    );
}

#[test]
fn a_file_that_is_cut_short() {
    let bench = Workbench::with_learngene();
    let whole = bench.read("tiny.learngene");
    for offset in (1..whole.len()).step_by(whole.len() / 20).chain([4, 8, 100, whole.len() - 1]) {
        bench.write("bad.learngene", &whole[..offset]);
        let parts = ["bad.learngene", "found", "expected"];
        bench.check("expand bad.learngene --out d.safetensors", &parts);
    }
}

#[test]
fn a_flipped_byte_in_a_tensor() {
    let bench = Workbench::with_learngene();
    let whole = bench.read("tiny.learngene");
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
    for offset in (header..whole.len()).step_by(whole.len() / 12).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[offset] ^= 1;
        bench.write("bad.learngene", bytes);
        let parts = ["bad.learngene", "expected"];
        bench.check("expand bad.learngene --out d.safetensors", &parts);
    }
}

#[test]
fn a_flipped_byte_before_the_tensors() {
    let bench = Workbench::with_learngene();
    let whole = bench.read("tiny.learngene");
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
    for offset in (0..header).step_by(header / 24) {
        let mut bytes = whole.clone();
        bytes[offset] ^= 1;
        bench.write("bad.learngene", bytes);
        bench.check("inspect bad.learngene", &["bad.learngene"]);
    }
}

#[test]
fn no_projections_for_the_policy_origin() {
    let bench = Workbench::with_learngene();
    let args = "expand tiny.learngene --projection origin --out d.safetensors";
    bench.check(args, &["projection `origin`", "--keep-projection"]);
    bench.succeed(&format!(
        "condense {TINY} --images photos --keep-projection --out tiny.learngene"
    ));
    bench.succeed(args);
}

#[test]
fn no_classifier_to_inherit() {
    let bench = Workbench::with_learngene();
    let args = "expand tiny.learngene --classifier inherit --out d.safetensors";
    bench.check(args, &["classifier to inherit", "expected a fresh classifier"]);
    bench.succeed(&format!(
        "condense {TINY} --images photos --paper --keep-classifier --out tiny.learngene"
    ));
    bench.succeed(args);
    let args = "expand tiny.learngene --classifier inherit --num-classes 9 --out e.safetensors";
    bench.check(args, &["classes of an inherited classifier: found 9, expected 7"]);
}
