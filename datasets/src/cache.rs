//! Where fetched datasets are kept.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::DatasetError;

/// The environment variable that names the folder of fetched datasets.
const CACHE_VARIABLE: &str = "LEARNGENE_DATA";

/// The folder of fetched datasets: `$LEARNGENE_DATA`, otherwise `learngene` in the user's cache folder.
///
/// # Errors
/// When the variable is not set and the system knows no cache folder.
pub fn cache_folder() -> Result<PathBuf, DatasetError> {
    match env::var_os(CACHE_VARIABLE) {
        Some(folder) if !folder.is_empty() => Ok(PathBuf::from(folder)),
        _ => dirs::cache_dir()
            .map(|folder| folder.join("learngene"))
            .ok_or(DatasetError::NoCacheFolder { variable: CACHE_VARIABLE }),
    }
}

/// Makes a folder in the cache that vanishes again unless it is renamed, so that nothing half-written stays.
pub(crate) fn staging_folder(cache: &Path) -> Result<TempDir, DatasetError> {
    let staging = fs::create_dir_all(cache)
        .and_then(|()| tempfile::Builder::new().prefix(".fetch-").tempdir_in(cache));
    staging.map_err(cache_error(cache))
}

/// Makes the adapter from an error of the file system to one that names the cache.
pub(crate) fn cache_error(cache: &Path) -> impl FnOnce(io::Error) -> DatasetError {
    move |source| DatasetError::CacheNotWritable {
        path: cache.to_owned(),
        variable: CACHE_VARIABLE,
        source,
    }
}
