//! Whether a dataset is what it should be: counted, decoded, and compared with its manifest.

use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::causes::with_causes;
use crate::open::{divided_folder, manifest_of, same_classes};
use crate::{BadImages, Dataset, DatasetError, KnownDataset, Level, Split, open};

/// Images that are decoded between two calls of the progress callback.
const CHUNK: usize = 256;
/// Differences that are kept in words; with a whole set damaged there would be a million.
const MAX_DIFFERENCES: usize = 100;

/// How closely a dataset is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrutiny {
    /// Images are counted as their lists have them.
    Count,
    /// Every image is decoded too, and every file with a published checksum compared with it.
    Decode,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// The name of the manifest it was compared with; none where the folder tells of none.
    pub manifest: Option<&'static str>,
    /// Its splits; one alone where it is not divided.
    pub splits: Vec<CheckedSplit>,
    /// Files that have their published checksum.
    pub verified_files: Vec<&'static str>,
    /// What is not as it should be, the first of them in words.
    pub differences: Vec<String>,
    /// How many differences there are in all.
    pub difference_count: usize,
}

/// One split of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckedSplit {
    /// Which one; none where the dataset is not divided.
    pub split: Option<Split>,
    /// Images found.
    pub images: usize,
    /// Images that the manifest wants.
    pub wanted_images: Option<usize>,
    /// Classes found.
    pub classes: usize,
    /// Classes that the manifest wants.
    pub wanted_classes: Option<usize>,
    /// Images that were decoded without fault; none where they were only counted.
    pub decoded: Option<usize>,
}

/// Counts the images of a dataset, and decodes them where asked to; compares it with a manifest.
///
/// `spec` is a name or a folder as for [`open`]. The manifest is `manifest`, otherwise that of the name or of the
/// layout of the folder, if only one dataset has that layout. `progress` hears how many images of how many in the
/// split were decoded.
///
/// # Errors
/// When the dataset is not found. What is wrong in it is no error, but a difference.
pub fn check(
    spec: &str,
    manifest: Option<&'static KnownDataset>,
    scrutiny: Scrutiny,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<CheckReport, DatasetError> {
    let (is_divided, folder) = divided_folder(spec)?;
    let manifest = manifest.map_or_else(|| manifest_of(spec), |manifest| Ok(Some(manifest)))?;
    let mut report = CheckReport {
        manifest: manifest.map(|known| known.name),
        splits: Vec::new(),
        verified_files: Vec::new(),
        differences: Vec::new(),
        difference_count: 0,
    };
    // A level of the tree of life has other classes.
    let level = spec.rsplit_once(':').and_then(|(_, level)| level.parse::<Level>().ok());
    let is_of_species = level.unwrap_or_default() == Level::Species;
    let wanted_classes = manifest.filter(|_| is_of_species).map(|known| known.classes);
    let splits: &[_] = match is_divided {
        true => &[Some(Split::Train), Some(Split::Test)],
        false => &[None],
    };
    let mut classes: Vec<Vec<String>> = Vec::new();
    for split in splits {
        let wanted_images = manifest.map(|known| match split {
            Some(Split::Train) => known.train,
            Some(Split::Test) => known.test,
            None => known.train + known.test,
        });
        match open(spec, split.unwrap_or(Split::Train), BadImages::Refuse) {
            Err(error) => report.differs(with_causes(&error)),
            Ok(dataset) => {
                let place = split.map_or_else(String::new, |split| format!("{split}: "));
                let dataset = dataset.as_ref();
                let decoded = match scrutiny {
                    Scrutiny::Count => None,
                    Scrutiny::Decode => Some(report.decode(&place, dataset, progress)),
                };
                let checked = CheckedSplit {
                    split: *split,
                    images: dataset.len(),
                    wanted_images,
                    classes: dataset.classes().len(),
                    wanted_classes,
                    decoded,
                };
                report.compare(&place, dataset, checked);
                classes.push(dataset.classes().to_vec());
            }
        }
    }
    if let [train, test] = &classes[..]
        && let Err(error) = same_classes(spec, train, test)
    {
        report.differs(error.to_string());
    }
    if let (Some(manifest), Some(folder), Scrutiny::Decode) = (manifest, folder, scrutiny) {
        report.verify_files(manifest, &folder);
    }
    Ok(report)
}

impl CheckReport {
    fn differs(&mut self, difference: String) {
        self.difference_count += 1;
        if self.differences.len() < MAX_DIFFERENCES {
            self.differences.push(difference);
        }
    }

    /// Decodes every image; returns how many are good.
    fn decode(
        &mut self,
        place: &str,
        dataset: &dyn Dataset,
        progress: &mut dyn FnMut(usize, usize),
    ) -> usize {
        let mut good = 0;
        for start in (0..dataset.len()).step_by(CHUNK) {
            let end = dataset.len().min(start + CHUNK);
            let decoded: Vec<_> =
                (start..end).into_par_iter().map(|index| dataset.image(index).err()).collect();
            for error in decoded {
                match error {
                    None => good += 1,
                    Some(error) => self.differs(format!("{place}{}", with_causes(&error))),
                }
            }
            progress(end, dataset.len());
        }
        good
    }

    /// Compares counts, and looks for classes without images.
    fn compare(&mut self, place: &str, dataset: &dyn Dataset, split: CheckedSplit) {
        for (found, wanted, what) in [
            (split.images, split.wanted_images, "images"),
            (split.classes, split.wanted_classes, "classes"),
        ] {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                self.differs(format!("{place}{found} {what}, wanted {wanted}"));
            }
        }
        let mut counts = vec![0_usize; split.classes];
        (0..dataset.len()).filter_map(|at| dataset.label(at)).for_each(|label| counts[label] += 1);
        for (class, _) in dataset.classes().iter().zip(counts).filter(|(_, count)| *count == 0) {
            self.differs(format!("{place}no image of the class {class}"));
        }
        self.splits.push(split);
    }

    fn verify_files(&mut self, manifest: &KnownDataset, folder: &Path) {
        for listed in manifest.checksums {
            let path = folder.join(listed.file);
            if !path.is_file() {
                continue;
            }
            match listed.checksum.check(&path, listed.file) {
                Ok(()) => self.verified_files.push(listed.file),
                Err(error) => self.differs(with_causes(&error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{TempFolder, png_bytes, records};
    use crate::known_dataset;

    fn report(folder: &TempFolder, manifest: Option<&str>, scrutiny: Scrutiny) -> CheckReport {
        let spec = folder.path().to_str().expect("temporary folders have plain names");
        let manifest = manifest.map(|name| known_dataset(name).expect("it is known"));
        check(spec, manifest, scrutiny, &mut |_, _| {}).expect("the folder is there")
    }

    fn counts(report: &CheckReport) -> Vec<(Option<Split>, usize, Option<usize>)> {
        report.splits.iter().map(|split| (split.split, split.images, split.decoded)).collect()
    }

    /// Two classes in both splits, one training image cut off.
    fn pets() -> TempFolder {
        let png = png_bytes([1, 2, 3]);
        TempFolder::with([
            ("train/cat/a.png", png.as_slice()),
            ("train/cat/b.png", &png[..50]),
            ("train/dog/c.png", &png),
            ("test/cat/d.png", &png),
            ("test/dog/e.png", &png),
        ])
    }

    #[test]
    fn the_sample_is_as_its_manifest_says() {
        let mut heard = 0;
        let report = check("cifar10-sample", None, Scrutiny::Decode, &mut |_, _| heard += 1);
        let report = report.expect("it is in the program");
        assert_eq!((report.manifest, report.difference_count), (Some("cifar10-sample"), 0));
        let want = [(Some(Split::Train), 2000, Some(2000)), (Some(Split::Test), 1000, Some(1000))];
        assert_eq!(counts(&report), want);
        assert_eq!(heard, 8 + 4);
    }

    #[test]
    fn a_bad_image_is_named_with_its_path() {
        let report = report(&pets(), None, Scrutiny::Decode);
        assert_eq!(
            counts(&report),
            [(Some(Split::Train), 3, Some(2)), (Some(Split::Test), 2, Some(2))]
        );
        let [difference] = &report.differences[..] else { panic!("{:?}", report.differences) };
        assert!(difference.starts_with("train: cannot decode the image "), "{difference}");
        assert!(difference.contains("train/cat/b.png"), "{difference}");
    }

    #[test]
    fn counting_does_not_decode() {
        let report = report(&pets(), None, Scrutiny::Count);
        assert_eq!(counts(&report), [(Some(Split::Train), 3, None), (Some(Split::Test), 2, None)]);
        assert_eq!((report.manifest, report.difference_count), (None, 0));
    }

    #[test]
    fn another_number_than_the_manifests_is_a_difference() {
        let report = report(&pets(), Some("imagenet"), Scrutiny::Count);
        assert_eq!(
            report.differences,
            [
                "train: 3 images, wanted 1281167",
                "train: 2 classes, wanted 1000",
                "test: 2 images, wanted 50000",
                "test: 2 classes, wanted 1000"
            ]
        );
    }

    #[test]
    fn classes_of_one_split_alone_are_a_difference() {
        let png = png_bytes([1, 2, 3]);
        let files = ["train/cat/a.png", "train/dog/b.png", "val/cat/c.png", "val/fox/d.png"];
        let folder = TempFolder::with(files.map(|name| (name, png.as_slice())));
        let report = report(&folder, None, Scrutiny::Count);
        let [difference] = &report.differences[..] else { panic!("{:?}", report.differences) };
        let want = "only in training: dog; only in test: fox";
        assert!(difference.ends_with(want), "{difference}");
    }

    #[test]
    fn a_folder_that_is_not_divided_has_one_part() {
        let png = png_bytes([1, 2, 3]);
        let folder = TempFolder::with([("cat/a.png", png.as_slice()), ("dog/b.png", &png)]);
        assert_eq!(counts(&report(&folder, None, Scrutiny::Decode)), [(None, 2, Some(2))]);
    }

    #[test]
    fn a_layout_tells_its_manifest_and_files_their_checksums() {
        let (train, test) = (records(&[1, 2]), records(&[3, 99]));
        let names: Vec<_> = (1..=5).map(|batch| format!("data_batch_{batch}.bin")).collect();
        let mut files: Vec<_> =
            names.iter().map(|name| (name.as_str(), train.as_slice())).collect();
        files.push(("test_batch.bin", &test));
        let report = report(&TempFolder::with(files), None, Scrutiny::Decode);
        assert_eq!(report.manifest, Some("cifar10"));
        let said = report.differences.join("\n");
        for part in [
            "train: 10 images, wanted 50000",
            "train: no image of the class airplane",
            "has label 99, but there are 10 classes",
            "data_batch_5.bin has the checksum ",
        ] {
            assert!(said.contains(part), "{said}\nlacks {part}");
        }
        assert_eq!(counts(&report), [(Some(Split::Train), 10, Some(10))]);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let error = check("no/such/folder", None, Scrutiny::Count, &mut |_, _| {});
        assert!(matches!(error, Err(DatasetError::MissingFolder { .. })));
    }
}
