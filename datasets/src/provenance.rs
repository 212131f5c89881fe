//! Which images exactly: a hash for a manifest.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{Dataset, DatasetError};

/// Images that are decoded at the same time.
const CHUNK: usize = 256;

/// SHA-256 of a list of images with their contents, in lower-case hexadecimal.
///
/// It covers, for each image in order: the length of its name (8 bytes, little endian), the name, and the SHA-256
/// of its width, its height (4 bytes each, little endian) and its RGB bytes. Labels and absolute paths are not in
/// it, so it is the same on every machine.
///
/// # Errors
/// When an image cannot be read.
pub fn images_sha256(dataset: &dyn Dataset) -> Result<String, DatasetError> {
    let mut list = Sha256::new();
    let indices: Vec<usize> = (0..dataset.len()).collect();
    for chunk in indices.chunks(CHUNK) {
        let digests: Vec<_> = chunk.par_iter().map(|index| image_digest(dataset, *index)).collect();
        for (index, digest) in chunk.iter().zip(digests) {
            let name = dataset.name(*index);
            list.update((name.len() as u64).to_le_bytes());
            list.update(name.as_bytes());
            list.update(digest?);
        }
    }
    Ok(hex(&list.finalize()))
}

fn image_digest(dataset: &dyn Dataset, index: usize) -> Result<[u8; 32], DatasetError> {
    let image = dataset.image(index)?;
    let mut digest = Sha256::new();
    digest.update(image.width().to_le_bytes());
    digest.update(image.height().to_le_bytes());
    digest.update(image.as_raw());
    Ok(digest.finalize().into())
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Cifar10, Split, Subset};

    fn hash(indices: &[usize]) -> String {
        let sample = Cifar10::sample(Split::Test).expect("the embedded sample is whole");
        let subset = Subset::new(Arc::new(sample), indices.to_vec()).expect("the indices exist");
        images_sha256(&subset).expect("the images are in memory")
    }

    #[test]
    fn the_order_and_the_images_count() {
        assert_eq!(hash(&[1, 2, 3]), hash(&[1, 2, 3]));
        assert_ne!(hash(&[1, 2, 3]), hash(&[1, 3, 2]));
        assert_ne!(hash(&[1, 2, 3]), hash(&[1, 2]));
    }

    #[test]
    fn no_images_have_the_hash_of_nothing() {
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash(&[]), nothing);
    }
}
