//! Output files, whole or not at all.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, bail};

/// Writes a file, naming it when that fails.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    learngene_tensors::write_whole(path, [bytes])
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a folder and those that it lies in, and checks that files can be made there.
pub fn prepare_folder(folder: &Path) -> anyhow::Result<()> {
    let is_absent = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let absent: Vec<PathBuf> =
        folder.ancestors().take_while(is_absent).map(Path::to_owned).collect();
    let try_it = || {
        if !absent.is_empty() {
            made().extend(absent.into_iter().rev());
            fs::create_dir_all(folder)?;
        }
        tempfile::tempfile_in(folder)
    };
    try_it().map(drop).with_context(|| format!("cannot make files in {}", folder.display()))
}

/// Folders that [`prepare_folder`] made, each before those in it.
fn made() -> MutexGuard<'static, Vec<PathBuf>> {
    static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the folders that were made for results, where none came into them.
pub fn remove_made() {
    for folder in made().drain(..).rev() {
        // One with anything in it cannot be, and stays.
        let _stays = fs::remove_dir(folder);
    }
}

/// Keeps a second training out of a folder until what is returned goes away, or the process does,
/// however it ends. Where the system has no locks there is none, and nobody is kept from training.
///
/// Locked is the folder itself, which leaves no trace; where folders cannot be (NFS, Windows), an empty
/// file in it.
pub fn lock_folder(folder: &Path) -> anyhow::Result<Option<File>> {
    let open: [&dyn Fn() -> io::Result<File>; 2] = [&|| File::open(folder), &|| {
        File::options().create(true).append(true).open(folder.join(".lock"))
    }];
    for file in open.iter().filter_map(|open| open().ok()) {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {
                // The other one's now.
                made().clear();
                bail!(
                    "another training writes to {}: wait for its end, or choose another --out",
                    folder.display()
                )
            }
            Err(TryLockError::Error(_)) => {}
        }
    }
    Ok(None)
}

/// The folder that a file lies in.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Bytes of a file.
pub fn len(path: &Path) -> anyhow::Result<u64> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(metadata.len())
}

/// Reads a file, naming it when that fails.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
