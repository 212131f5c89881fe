//! Images that cannot be probed, trained or evaluated on.

use image::{Rgb, RgbImage};

use crate::workbench::{TINY, Workbench, check_message, png};

/// `probe` of a folder named `photos` is refused.
fn check(bench: &Workbench, parts: &[&str]) {
    bench.check(&format!("probe {TINY} --images photos --out d.json"), parts);
}

#[test]
fn neither_a_folder_nor_a_known_name() {
    let bench = Workbench::new();
    for images in ["photos", "no/photos", "cifar-10"] {
        let parts = [images, "wanted a folder that exists, or one of cifar10, cifar10-sample"];
        for args in [
            format!("probe {TINY} --out d.json --images {images}"),
            format!("condense {TINY} --out x.learngene --images {images}"),
            format!("train {TINY} --out run --data {images}"),
            format!("eval {TINY} --data {images}"),
        ] {
            bench.check(&args, &parts);
        }
    }
}

#[test]
fn an_empty_folder() {
    let bench = Workbench::new();
    bench.write("photos/notes.txt", "nothing to see");
    check(&bench, &["no images in photos", "expected image files"]);
}

#[test]
fn an_empty_class() {
    let bench = Workbench::new();
    bench.photos("photos/cat", 1);
    bench.write("photos/dog/notes.txt", "nothing to see");
    check(&bench, &["no images in photos/dog"]);
}

#[test]
fn images_beside_classes() {
    let bench = Workbench::new();
    bench.photos("photos", 1);
    bench.photos("photos/cat", 1);
    check(&bench, &["photos holds both images and folders"]);
}

#[test]
fn a_dataset_that_was_not_fetched() {
    let bench = Workbench::new();
    let args = format!("probe {TINY} --images cifar10 --out d.json");
    bench.check(&args, &["cifar10 is not in", "learngene data fetch cifar10"]);
}

#[test]
fn an_unreadable_image_among_good_ones() {
    for (name, bytes) in [
        ("cut.png", &png(&RgbImage::new(9, 9))[..40]),
        ("text.jpg", b"no image".as_slice()),
        ("empty.png", b"".as_slice()),
    ] {
        let bench = Workbench::new();
        bench.photos("photos", 3);
        bench.write(&format!("photos/{name}"), bytes);
        check(&bench, &["cannot decode the image photos/", name, "--bad-images skip"]);
    }
}

#[test]
fn unreadable_images_can_be_left_out_and_are_counted() {
    let bench = Workbench::new();
    bench.photos("photos", 3);
    bench.write("photos/text.png", "no image");
    bench.write("photos/empty.jpg", "");
    let args = format!("probe {TINY} --images photos --bad-images skip:2 --out d.json");
    let output = bench.command(&args).assert().success();
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("left out 2 images of the train split"), "{said}");
    for bad in ["left out: cannot decode the image photos/text.png", "photos/empty.jpg"] {
        assert!(said.contains(bad), "{said}");
    }
    assert_eq!(bench.json("d.json")["images"], 3);

    // The same images without the bad ones are the same probe.
    let skipped = bench.read("d.json");
    bench.photos("good", 3);
    bench.succeed(&format!("probe {TINY} --images good --out d.json"));
    assert!(bench.read("d.json") == skipped);
}

#[test]
fn more_unreadable_images_than_may_be_left_out() {
    let bench = Workbench::new();
    bench.photos("photos", 3);
    bench.write("photos/text.png", "no image");
    bench.write("photos/empty.jpg", "");
    let args = format!("probe {TINY} --images photos --bad-images skip:1 --out d.json");
    bench.check(&args, &["more than 1 image cannot be decoded", "photos/text.png"]);
}

#[test]
fn training_and_evaluating_leave_out_unreadable_images_only_when_asked() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 2);
    bench.write("pets/train/cat/text.png", "no image");
    bench.write("pets/test/dog/text.png", "no image");
    let train = format!("train {TINY} --data pets --epochs 1 --batch-size 4 --json --out run");
    let skipping = bench.succeed_json(&format!("{train} --bad-images skip"));
    assert_eq!((&skipping["train_images"], &skipping["test_images"]), (&4.into(), &4.into()));
    let eval = "eval run/best.safetensors --num-heads 3 --data pets";
    let evaluation = bench.succeed_json(&format!("{eval} --bad-images skip:1 --json"));
    assert_eq!(evaluation["images"], 4);
    let hint = "--bad-images skip leaves such images out";
    bench.check(eval, &["cannot decode the image pets/test/dog/text.png", hint]);
    let refusing = train.replace("run", "other");
    let output = bench.command(&refusing).output().expect("the program was built");
    check_message(&refusing, &output, &["cannot decode the image pets/", hint]);
}

#[test]
fn nothing_but_unreadable_images() {
    let bench = Workbench::new();
    bench.write("photos/text.png", "no image");
    let args = format!("probe {TINY} --images photos --bad-images skip --out d.json");
    bench.check(&args, &["no images in photos"]);
}

#[test]
fn blank_images() {
    let bench = Workbench::new();
    for index in 0..3 {
        let blank = RgbImage::from_pixel(32, 32, Rgb([200, 120, 40]));
        bench.write(&format!("photos/{index}.png"), png(&blank));
    }
    check(&bench, &["deviation", "expected at least 0.1"]);
}

/// Images on the scale 0 to 1 with statistics on the scale 0 to 255 are almost constant.
#[test]
fn statistics_of_another_scale() {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    let args =
        format!("probe {TINY} --images photos --mean 124,116,104 --std 58,57,57 --out d.json");
    bench.check(&args, &["mean", "0 to 1", "124"]);
}

#[test]
fn a_crop_of_nothing() {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    for (share, got) in [("0", "got 0"), ("1.5", "got 1.5"), ("nan", "got NaN")] {
        let args = format!("probe {TINY} --images photos --crop-pct {share} --out d.json");
        bench.check(&args, &["crop_pct must be above 0.01 and at most 1", got]);
    }
}

#[test]
fn an_image_size_of_partial_patches() {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    let args = format!("probe {TINY} --images photos --image-size 30 --out d.json");
    bench.check(&args, &["image_size: found 30, expected a multiple of the patch size, 8"]);
}

#[test]
fn classes_that_the_model_does_not_have() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 1);
    let args = format!("eval {TINY} --data pets");
    bench.check(&args, &["classes of the test images: found 2, expected 7"]);
}

#[test]
fn a_model_without_a_classifier() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    bench.succeed("expand tiny.learngene --num-classes 0 --out d.safetensors");
    let parts = ["d.safetensors has no classifier", "`learngene train`", "--frozen"];
    bench.check("eval d.safetensors --data pets", &parts);
}

#[test]
fn images_without_labels() {
    let bench = Workbench::new();
    bench.photos("photos/train", 1);
    bench.photos("photos/test", 1);
    let args = format!("train {TINY} --data photos --out run");
    bench.check(&args, &["photos", "unlabelled", "one folder of images for each class"]);
    let args = format!("eval {TINY} --data photos");
    bench.check(&args, &["photos are unlabelled", "put those of each class into a folder"]);
}

#[test]
fn training_images_that_are_the_test_images() {
    let bench = Workbench::new();
    for (folder, data) in [("pets", "pets"), ("animals/train", "animals")] {
        bench.photos(&format!("{folder}/cat"), 2);
        bench.photos(&format!("{folder}/dog"), 2);
        let none = format!("{data} has no folders `train` and `test`");
        let args = format!("train {TINY} --data {data} --epochs 1 --out {data}_run");
        bench.check(&args, &[&none, "--hold-out 0.2 evaluates on a fifth"]);
        bench.succeed(&format!("{args} --hold-out 0.5"));
    }
    let args = format!("eval {TINY} --data pets --frozen knn");
    bench.check(&args, &["pets has no folders `train` and `test`"]);
}

#[test]
fn other_classes_in_the_test_images() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 1);
    bench.photos("pets/test/fox", 1);
    let args = format!("train {TINY} --data pets --out run");
    bench.check(&args, &["pets", "only in training: none; only in test: fox"]);
    bench.photos("pets/train/ant", 1);
    let parts = ["only in training: ant; only in test: fox"];
    bench.check(&format!("eval {TINY} --data pets"), &parts);
}

#[test]
fn images_of_other_classes_than_the_model_learnt() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 2);
    bench.succeed(&format!("train {TINY} --data pets --epochs 1 --batch-size 4 --out run"));
    for split in ["train", "test"] {
        bench.photos(&format!("birds/{split}/cat"), 1);
        bench.photos(&format!("birds/{split}/hen"), 1);
    }
    let eval = "eval run/last.safetensors --data";
    bench.succeed(&format!("{eval} pets"));
    let parts =
        ["class 1 of run/last.safetensors is `dog`, but of birds it is `hen`", "--by-number"];
    bench.check(&format!("{eval} birds"), &parts);
    bench.succeed(&format!("{eval} birds --by-number"));
}
