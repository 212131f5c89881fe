//! MNIST and Fashion-MNIST: images and labels in IDX files, plain or gzipped.
//!
//! An IDX file is two zero bytes, the type of its numbers (8: bytes), the number of its dimensions, each dimension
//! as a big-endian u32, and the numbers. <http://yann.lecun.com/exdb/mnist/>,
//! <https://github.com/zalandoresearch/fashion-mnist>.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use image::{GrayImage, RgbImage};

use crate::layout::fault;
use crate::{Dataset, DatasetError, Split};

/// More bytes than any file of these sets has.
const MAX_BYTES: u64 = 1 << 28;

/// Grey images of one split, in memory.
#[derive(Debug)]
pub struct Idx {
    split: Split,
    classes: Vec<String>,
    labels: Vec<u8>,
    pixels: Vec<u8>,
    height: usize,
    width: usize,
}

impl Idx {
    /// Reads one split from the four files in a folder.
    ///
    /// # Errors
    /// When a file is missing, truncated or of another form, or labels and images differ in number.
    pub fn open(folder: &Path, split: Split, classes: Vec<String>) -> Result<Self, DatasetError> {
        let prefix = prefix(split);
        let images_path = find(folder, &format!("{prefix}-images-idx3-ubyte"));
        let labels_path = find(folder, &format!("{prefix}-labels-idx1-ubyte"));
        let ([count, height, width], pixels) = read::<3>(&images_path)?;
        let ([labelled], labels) = read::<1>(&labels_path)?;
        if labelled != count || count == 0 || height * width == 0 {
            let reason = format!("{labelled} of {count} images of {height} x {width} pixels");
            return Err(fault(&labels_path, "labels", reason));
        }
        match labels.iter().position(|label| usize::from(*label) >= classes.len()) {
            Some(record) => Err(DatasetError::LabelOutOfRange {
                path: labels_path,
                record,
                got: labels[record].into(),
                classes: classes.len(),
            }),
            None => Ok(Self { split, classes, labels, pixels, height, width }),
        }
    }

    /// Whether a folder has these files.
    pub(crate) fn is_layout(folder: &Path) -> bool {
        find(folder, "train-images-idx3-ubyte").is_file()
            || find(folder, "t10k-images-idx3-ubyte").is_file()
    }
}

impl Dataset for Idx {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.labels.get(index).map(|label| usize::from(*label))
    }

    fn image(&self, index: usize) -> Result<RgbImage, DatasetError> {
        let grey = self.pixels.chunks_exact(self.height * self.width).nth(index);
        let grey = grey.ok_or(DatasetError::IndexOutOfRange { index, len: self.len() })?;
        let pixel = |x: u32, y: u32| image::Luma([grey[y as usize * self.width + x as usize]]);
        let grey = GrayImage::from_fn(self.width as u32, self.height as u32, pixel);
        Ok(image::DynamicImage::ImageLuma8(grey).into_rgb8())
    }

    fn name(&self, index: usize) -> String {
        format!("{}/{index:05}", self.split)
    }
}

fn prefix(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Test => "t10k",
    }
}

/// The plain file, or another spelling of it where that is not there: gzipped, or with a dot in its name as some
/// programs unpack it.
fn find(folder: &Path, name: &str) -> PathBuf {
    let spellings = [name.to_owned(), format!("{name}.gz"), name.replace("-idx", ".idx")];
    let mut paths = spellings.iter().map(|name| folder.join(name));
    paths.find(|path| path.is_file()).unwrap_or_else(|| folder.join(name))
}

/// Dimensions and bytes of a file.
fn read<const D: usize>(path: &Path) -> Result<([usize; D], Vec<u8>), DatasetError> {
    let mut bytes = fs::read(path).map_err(DatasetError::io("read", path))?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut plain = Vec::new();
        let unpacked = GzDecoder::new(bytes.as_slice()).take(MAX_BYTES).read_to_end(&mut plain);
        unpacked.map_err(DatasetError::io("unpack", path))?;
        bytes = plain;
    }
    parse(bytes).map_err(|reason| fault(path, "IDX file", reason))
}

fn parse<const D: usize>(bytes: Vec<u8>) -> Result<([usize; D], Vec<u8>), String> {
    let header = 4 + 4 * D;
    if bytes.len() < header || bytes[..4] != [0, 0, 8, D as u8] {
        return Err(format!("wanted bytes of {D} dimensions"));
    }
    let (sizes, _) = bytes[4..header].as_chunks::<4>();
    let mut dims = [0; D];
    for (dim, size) in dims.iter_mut().zip(sizes) {
        *dim = u32::from_be_bytes(*size) as usize;
    }
    let wanted = dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
    let found = bytes.len() - header;
    match wanted {
        Some(wanted) if wanted == found => Ok((dims, bytes[header..].to_vec())),
        _ => Err(format!("{found} bytes of data, but dimensions of {dims:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::TempFolder;

    /// A file of bytes with these dimensions.
    fn file(dims: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn open(images: &[u8], labels: &[u8]) -> Result<Idx, DatasetError> {
        let files = [("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)];
        let folder = TempFolder::with(files);
        assert!(Idx::is_layout(folder.path()));
        let classes = ["zero", "one"].map(str::to_owned).to_vec();
        Idx::open(folder.path(), Split::Test, classes)
    }

    #[test]
    fn grey_images_become_rgb() {
        let images = file(&[2, 2, 3], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        let dataset = open(&images, &file(&[2], &[1, 0])).expect("both files are whole");
        assert_eq!((dataset.len(), dataset.label(0), dataset.label(1)), (2, Some(1), Some(0)));
        let image = dataset.image(1).expect("there are two");
        assert_eq!((image.dimensions(), image.get_pixel(2, 1).0), ((3, 2), [11, 11, 11]));
        assert_eq!(image.get_pixel(1, 0).0, [7, 7, 7]);
    }

    #[test]
    fn gzipped_files_are_read() {
        let gzipped = |bytes: Vec<u8>| {
            let mut packed = Vec::new();
            let mut encoder = flate2::read::GzEncoder::new(&bytes[..], flate2::Compression::fast());
            encoder.read_to_end(&mut packed).expect("memory can be read");
            packed
        };
        let images = gzipped(file(&[1, 1, 1], &[7]));
        let labels = gzipped(file(&[1], &[0]));
        let files = [
            ("train-images-idx3-ubyte.gz", images.as_slice()),
            ("train-labels-idx1-ubyte.gz", &labels),
        ];
        let folder = TempFolder::with(files);
        let dataset = Idx::open(folder.path(), Split::Train, vec!["zero".into()]);
        assert_eq!(dataset.expect("both files are whole").len(), 1);
        let cut = [("train-images-idx3-ubyte.gz", &images[..15]), files[1]];
        let folder = TempFolder::with(cut);
        let error = Idx::open(folder.path(), Split::Train, vec!["zero".into()]);
        let message = error.expect_err("the stream ends early").to_string();
        assert!(message.starts_with("cannot unpack ") && message.ends_with(".gz"), "{message}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let images = file(&[1, 1, 1], &[7]);
        let folder = TempFolder::with([("train-images.idx3-ubyte", images.as_slice())]);
        assert!(Idx::is_layout(folder.path()));
        let error = Idx::open(folder.path(), Split::Train, vec!["zero".into()]);
        let message = error.expect_err("there are no labels").to_string();
        assert!(message.ends_with("train-labels-idx1-ubyte"), "{message}");
    }

    #[test]
    fn damaged_files_are_refused() {
        let (images, labels) = (file(&[2, 1, 1], &[0, 1]), file(&[2], &[1, 0]));
        let refused = |images: &[u8], labels: &[u8], reason: &str| {
            let message = open(images, labels).expect_err("one file is damaged").to_string();
            assert!(message.contains(reason), "{message}");
        };
        refused(&images[..17], &labels, "1 bytes of data, but dimensions of [2, 1, 1]");
        refused(&images[..9], &labels, "wanted bytes of 3 dimensions");
        refused(&labels, &labels, "wanted bytes of 3 dimensions");
        refused(&images, &file(&[1], &[1]), "1 of 2 images of 1 x 1 pixels");
        refused(&images, &file(&[2], &[1, 2]), "record 1 of ");
        refused(
            &file(&[2, u32::MAX, u32::MAX], &[0; 8]),
            &labels,
            "8 bytes of data, but dimensions",
        );
    }
}
