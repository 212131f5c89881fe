//! Comparison with timm, torchvision and Pillow at fixed draws; `fixtures/augment/README.md` tells how they were made.

use std::path::{Path, PathBuf};

use image::RgbImage;
use image::imageops;
use serde::Deserialize;

use super::affine::Canvas;
use super::region::rounded;
use super::{
    Change, Crop, Erase, Mix, Operation, RandomErasing, Region, ResizedCrop, repeat_views,
};
use crate::{Batch, Interpolation, Preprocess};

#[derive(Deserialize)]
struct Cases {
    operations: Vec<OperationCase>,
    crops: Vec<CropCase>,
    magnitudes: Vec<MagnitudeCase>,
    erasing: Vec<ErasingCase>,
    resized_crops: Vec<ResizedCropCase>,
    mixes: Mixes,
    repeats: Vec<RepeatCase>,
}

#[derive(Deserialize)]
struct OperationCase {
    image: String,
    operations: Vec<Operation>,
    interpolation: Interpolation,
    /// In the sheet of what comes out of this image.
    row: u32,
}

#[derive(Deserialize)]
struct CropCase {
    image: String,
    region: Region,
    flip: bool,
    interpolation: Interpolation,
    row: u32,
}

#[derive(Deserialize)]
struct MagnitudeCase {
    kind: u32,
    magnitude: f64,
    negative: bool,
    operation: Operation,
}

/// What timm drew, try by try, and the region it took.
#[derive(Deserialize)]
struct ErasingCase {
    side: u32,
    /// Share of the area and logarithm of the ratio.
    tries: Vec<(f64, f64)>,
    top_left: Option<(u32, u32)>,
    region: Option<Region>,
}

#[derive(Deserialize)]
struct ResizedCropCase {
    size: (u32, u32),
    tries: Vec<(f64, f64)>,
    top_left: Option<(u32, u32)>,
    region: Region,
}

#[derive(Deserialize)]
struct Mixes {
    shape: [usize; 4],
    pixels: Vec<f32>,
    labels: Vec<usize>,
    classes: usize,
    label_smoothing: f64,
    cases: Vec<MixCase>,
}

#[derive(Deserialize)]
struct MixCase {
    lambda: f64,
    centre: Option<(u32, u32)>,
    pixels: Vec<f32>,
    targets: Vec<f32>,
}

#[derive(Deserialize)]
struct RepeatCase {
    images: usize,
    shard: usize,
    shards: usize,
    indices: Vec<usize>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/augment").join(name)
}

fn cases() -> Cases {
    let text = std::fs::read_to_string(fixture("cases.json")).expect("the fixture is there");
    serde_json::from_str(&text).expect("it is what the script writes")
}

fn picture(name: &str) -> RgbImage {
    image::open(fixture(&format!("{name}.png"))).expect("the fixture is there").into_rgb8()
}

/// Largest difference of two images of one size, in levels of 255.
fn distance(got: &RgbImage, want: &RgbImage) -> u8 {
    assert_eq!(got.dimensions(), want.dimensions());
    let pairs = got.as_raw().iter().zip(want.as_raw());
    pairs.map(|(got, want)| got.abs_diff(*want)).max().unwrap_or(0)
}

#[test]
fn operations_are_pillows_within_two_levels() {
    for case in cases().operations {
        let mut image = picture(&case.image);
        let (width, height) = image.dimensions();
        for operation in &case.operations {
            // ImageNet's mean in bytes.
            let fill = [124, 116, 104];
            operation.apply(&mut image, case.interpolation, fill, &mut Canvas::default());
        }
        let sheet = picture(&format!("{}_operations", case.image));
        let want = imageops::crop_imm(&sheet, 0, case.row * height, width, height).to_image();
        let distance = distance(&image, &want);
        assert!(distance <= 2, "{distance} {} {:?}", case.image, case.operations);
    }
}

#[test]
fn resized_crops_are_torchvisions_within_two_levels() {
    let sheet = picture("crops");
    for case in cases().crops {
        let settings = Preprocess { interpolation: case.interpolation, ..Preprocess::new(32) };
        let (crop, flip) = (Crop::Resized(case.region), case.flip);
        let change = Change { crop, flip, operations: Vec::new(), erase: None };
        let preprocess = settings.check().expect("the settings are valid");
        let got = change.apply(picture(&case.image), &preprocess).expect("it is in the image");
        let want = imageops::crop_imm(&sheet, 0, case.row * 32, 32, 32).to_image();
        let distance = distance(&got, &want);
        assert!(distance <= 2, "{distance} {:?}", case.region);
    }
}

#[test]
fn magnitudes_are_timms() {
    for MagnitudeCase { kind, magnitude, negative, operation } in cases().magnitudes {
        let got = Operation::of_kind(kind, magnitude, negative);
        let close = match (got, operation) {
            (Operation::Rotate(got), Operation::Rotate(want))
            | (Operation::Color(got), Operation::Color(want))
            | (Operation::Contrast(got), Operation::Contrast(want))
            | (Operation::Brightness(got), Operation::Brightness(want))
            | (Operation::Sharpness(got), Operation::Sharpness(want))
            | (Operation::ShearX(got), Operation::ShearX(want))
            | (Operation::ShearY(got), Operation::ShearY(want))
            | (Operation::TranslateX(got), Operation::TranslateX(want))
            | (Operation::TranslateY(got), Operation::TranslateY(want)) => {
                (got - want).abs() < 1e-12
            }
            (got, want) => got == want,
        };
        assert!(close, "{got:?} {operation:?}");
    }
}

/// The sides that the first accepted try gives.
fn sides(
    tries: &[(f64, f64)],
    area: u32,
    sides: fn(f64, f64) -> (f64, f64),
    fits: impl Fn(u32, u32) -> bool,
) -> Option<(u32, u32)> {
    let tried = tries.iter().map(|(share, log)| rounded(sides(share * f64::from(area), log.exp())));
    let found: Vec<_> = tried.filter(|(width, height)| fits(*width, *height)).collect();
    assert!(found.len() <= 1, "timm stops at the first that fits");
    found.first().copied()
}

#[test]
fn erased_regions_are_timms() {
    for ErasingCase { side, tries, top_left, region } in cases().erasing {
        let fits = |width, height| RandomErasing::fits(width, height, side);
        let sides = sides(&tries, side * side, RandomErasing::sides, fits);
        assert_eq!(sides.is_some(), top_left.is_some(), "{side}");
        let got = sides.zip(top_left).map(|((width, height), (top, left))| {
            let region = Region { left, top, width, height };
            let mut pixels = vec![9.0; (side * side) as usize];
            Erase { region, seed: 1 }.apply(&mut pixels, side as usize);
            let erased = pixels.iter().filter(|value| **value != 9.0).count();
            assert_eq!(erased, (width * height) as usize);
            region
        });
        // An empty part leaves no trace in timm's image.
        assert_eq!(got.filter(|region| region.width * region.height > 0), region, "{side}");
    }
}

#[test]
fn resized_crop_regions_are_timms() {
    for ResizedCropCase { size, tries, top_left, region } in cases().resized_crops {
        let fits = |width, height| width <= size.0 && height <= size.1;
        let sides = sides(&tries, size.0 * size.1, ResizedCrop::sides, fits);
        let got = match sides.zip(top_left) {
            Some(((width, height), (top, left))) => Region { left, top, width, height },
            None => ResizedCrop::default().central(size),
        };
        assert_eq!(got, region, "{size:?}");
    }
}

#[test]
fn mixed_pixels_and_targets_are_timms_to_the_bit() {
    let Mixes { shape, pixels, labels, classes, label_smoothing, cases } = cases().mixes;
    for case in cases {
        let (height, width) = (shape[2] as u32, shape[3] as u32);
        let mix = match case.centre {
            None => Mix::Mixup { lambda: case.lambda },
            Some(centre) => Mix::cutmix(case.lambda, centre, (width, height)),
        };
        let (pixels, labels) = (pixels.clone(), labels.clone());
        let mut batch = Batch { pixels, shape, labels, targets: None };
        batch.mix(&mix, classes, label_smoothing).expect("the labels are below the classes");
        assert!(batch.pixels == case.pixels, "{mix:?}");
        assert_eq!(batch.targets, Some(case.targets), "{mix:?}");
    }
}

#[test]
fn repeated_views_are_timms() {
    for RepeatCase { images, shard, shards, indices } in cases().repeats {
        let order: Vec<usize> = (0..images).collect();
        let views = repeat_views(&order, 3, shard, shards);
        let got: Vec<usize> = views.iter().map(|view| view.index).collect();
        assert_eq!(got, indices, "{images} {shard} of {shards}");
    }
}
