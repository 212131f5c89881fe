//! What `learngene data` says of datasets.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use crate::workbench::{Workbench, check_message};

/// `data check` finds nothing amiss; what it prints.
fn good(bench: &Workbench, args: &str, parts: &[&str]) {
    let said = bench.succeed(&format!("data check {args}"));
    for part in parts {
        assert!(said.contains(part), "{said}\nlacks `{part}`");
    }
    assert!(!said.contains("differs"), "{said}");
}

/// `data check` ends with 1 and prints what differs.
fn amiss(bench: &Workbench, args: &str, parts: &[&str], error: &str) {
    let output = bench.command(&format!("data check {args}")).output().expect("it was built");
    let (said, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}{stderr}");
    for part in parts {
        assert!(said.contains(part), "{said}\nlacks `{part}`");
    }
    assert!(stderr.contains(error) && !stderr.contains("panicked"), "{stderr}");
}

#[test]
fn the_list_is_a_table() {
    let said = Workbench::new().succeed("list datasets");
    let line = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{said}\nlacks {name}"))
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    assert_eq!(line("imagenet")[..5], ["imagenet", "1,000", "1,281,167", "50,000", "hand"]);
    assert_eq!(line("mnist")[..6], ["mnist", "10", "60,000", "10,000", "data", "fetch"]);
    assert_eq!(line("cifar10-sample")[4..6], ["is", "here"]);
    let columns: Vec<_> = said.lines().take(13).filter_map(|line| line.find("  ")).collect();
    assert_eq!(columns.len(), 13, "{said}");
}

#[test]
fn the_sample_is_whole() {
    let parts =
        ["train  2,000 images (2,000 wanted), 10 classes (10 wanted), 2,000 decoded", "test "];
    good(&Workbench::new(), "cifar10-sample", &parts);
    let counted = ["test   1,000 images (1,000 wanted), 10 classes (10 wanted)\n"];
    good(&Workbench::new(), "cifar10-sample --count-only", &counted);
}

#[test]
fn a_folder_of_ones_own_is_counted_and_decoded() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 2);
    let parts = ["train  4 images, 2 classes, 4 decoded", "compared with no manifest"];
    good(&bench, "pets", &parts);
    bench.write("pets/train/cat/text.png", "no image");
    good(&bench, "pets --count-only", &["train  5 images, 2 classes\n"]);
    let bad = "differs: train: cannot decode the image pets/train/cat/text.png";
    amiss(&bench, "pets", &[bad, "4 decoded"], "pets is not as it should be: 1 difference");
}

#[test]
fn splits_of_other_classes_differ() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 1);
    bench.photos("pets/test/fox", 1);
    let bad = "differs: pets: the classes of training and test images differ; only in training: \
               none; only in test: fox";
    amiss(&bench, "pets", &[bad], "pets is not as it should be: 1 difference");
}

#[test]
fn a_folder_is_compared_with_the_manifest_it_should_have() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 1);
    let parts =
        ["train: 2 images, wanted 1281167", "test: 2 classes, wanted 1000", "manifest of imagenet"];
    amiss(&bench, "pets --as imagenet", &parts, "4 differences");
    let shown = ["train: 2 images, wanted 1281167", "and 3 differences more"];
    amiss(&bench, "pets --as imagenet --show 1", &shown, "4 differences");
    let output = bench.command("data check pets --as imagenet --json").output().expect("built");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((&report["manifest"], &report["difference_count"]), (&"imagenet".into(), &4.into()));
    assert_eq!(report["splits"][1]["wanted_images"], 50_000);
    assert_eq!(report["differences"].as_array().map(Vec::len), Some(4));
}

fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
    bytes.extend(data);
    bytes
}

/// Unpacked or not, fetched or brought by hand.
#[test]
fn what_can_be_read_is_in_the_cache() {
    let bench = Workbench::new();
    let is_in_cache = || {
        let listed = bench.succeed_json("list datasets --json");
        let mut listed = listed.as_array().expect("a list").iter();
        listed.find(|set| set["name"] == "mnist").expect("it is known")["is_in_cache"].clone()
    };
    assert_eq!(is_in_cache(), false);
    bench.write("cache/mnist/t10k-images-idx3-ubyte", idx(&[1, 2, 2], &[7; 4]));
    assert_eq!(is_in_cache(), true);
}

/// A cut-down MNIST: the right layout, too few images, other checksums.
#[test]
fn files_are_compared_with_published_checksums() {
    let bench = Workbench::new();
    let gzipped = |dims: &[u32], data: &[u8]| {
        let bytes = idx(dims, data);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).and_then(|()| encoder.finish()).expect("memory can be written to")
    };
    for split in ["train", "t10k"] {
        let labels: Vec<u8> = (0..10).collect();
        bench.write(&format!("digits/{split}-labels-idx1-ubyte.gz"), gzipped(&[10], &labels));
        let images = gzipped(&[10, 2, 2], &[7; 40]);
        bench.write(&format!("digits/{split}-images-idx3-ubyte.gz"), images);
    }
    good(&bench, "digits", &["train  10 images, 10 classes, 10 decoded"]);
    let parts = [
        "train: 10 images, wanted 60000",
        "t10k-labels-idx1-ubyte.gz has the checksum ",
        "wanted ec29112dd5afa0611ce80d1b7f02629c",
    ];
    amiss(&bench, "digits --as mnist", &parts, "6 differences");
}

#[test]
fn a_dataset_that_is_not_here() {
    let bench = Workbench::new();
    let args = "data check food101";
    let output = bench.command(args).output().expect("it was built");
    let parts = ["food101 is not in", "data.vision.ee.ethz.ch", "meta/train.txt", "its own folder"];
    check_message(args, &output, &parts);
}

/// Two rows of two pets, plain and in three epochs.
#[test]
fn images_are_shown_as_a_model_sees_them() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 1);
    bench.write("recipe.toml", "[augment]\nmixup = 0.8\n");
    let show = "data show pets --image-size 32";
    bench.succeed(&format!("{show} --augmented --recipe recipe.toml --epochs 3 --out a.png"));
    bench.succeed(&format!("{show} --out plain/b.png"));
    let size = |name: &str| {
        let sheet = image::load_from_memory(&bench.read(name)).expect("it is a PNG");
        (sheet.width(), sheet.height())
    };
    // Tiles of 96 pixels, 2 between them.
    assert_eq!(size("a.png"), (4 * 98 + 2, 2 * 98 + 2));
    assert_eq!(size("plain/b.png"), (2 * 98 + 2, 2 * 98 + 2));
}

#[test]
fn what_cannot_be_shown() {
    let check = |args: &str, parts: &[&str]| Workbench::new().check(args, parts);
    check("data show nowhere --out a.png", &["wanted a folder that exists"]);
    check("data show cifar10-sample --recipe r.toml --out a.png", &["--augmented"]);
    check("data show cifar10-sample --epochs 2 --out a.png", &["--augmented"]);
    let most = "wanted at most 167 for a picture to look at, got `168`";
    check("data show cifar10-sample --images 168 --out a.png", &["--images", most]);
    let epochs = "data show cifar10-sample --augmented --epochs 168 --out a.png";
    check(epochs, &["--epochs", most]);
    let large = "data show cifar10-sample --images 73 --image-size 224 --out a.png";
    let parts = ["73 images in 2 columns, with 226 pixels", "at most 16384 pixels a side"];
    check(large, &parts);
    let missing = "data show cifar10-sample --augmented --recipe r.toml --out a.png";
    check(missing, &["r.toml", "No such file"]);
    check(
        "data show cifar10-sample --image-size 0 --out a.png",
        &["image size must be from 1 to 8192 pixels, got 0"],
    );
}
