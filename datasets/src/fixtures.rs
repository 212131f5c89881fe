//! Small files for the tests of this crate.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};

/// A folder that vanishes after the test.
pub(crate) struct TempFolder(tempfile::TempDir);

impl TempFolder {
    /// Makes a folder with these files; names may have sub-folders in them.
    pub fn with<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
        for (name, bytes) in files {
            let path = folder.path().join(name);
            let parent = path.parent().expect("a file lies in a folder");
            fs::create_dir_all(parent).expect("the temporary folder can be written to");
            fs::write(path, bytes).expect("the temporary folder can be written to");
        }
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A PNG of 6 x 5 pixels of one colour.
pub(crate) fn png_bytes(colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(6, 5, Rgb(colour))
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("memory can be written to");
    bytes.into_inner()
}

/// Records of CIFAR-10 with these labels; record `i` has red `i`, green 100 and blue 200 everywhere.
pub(crate) fn records(labels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (red, label) in (0..).zip(labels) {
        bytes.push(*label);
        for colour in [red, 100, 200] {
            bytes.extend([colour; 1024]);
        }
    }
    bytes
}
