//! Files and folders that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::mpsc,
    thread,
};

/// Prefix of the temporary file.
const PARTIAL: &str = ".partial-";

/// Bytes between two syncs of a file that is being written.
const BLOCK: usize = 32 << 20;

/// Writes the parts, one after another, to the file of this name, and replaces an existing one.
///
/// They go to a temporary file in the same folder, which is synced and then renamed. The file has
/// the permissions of any new file. A large file is synced block by block while the rest is still
/// being made.
///
/// # Errors
/// I/O errors, without the path, which the caller adds; the folder is named where no file can be
/// created in it. No message contains the temporary name. On an error the temporary file is removed
/// and an existing file is unchanged, unless the folder could not be synced after the rename.
pub fn write_whole<Part: AsRef<[u8]>>(
    path: &Path,
    parts: impl IntoIterator<Item = Part>,
) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // `File::create_new`, for tempfile's own files are private to the user.
    let mut file = tempfile::Builder::new()
        .prefix(PARTIAL)
        .make_in(folder, |path| File::create_new(path))
        .map_err(|error| in_folder(folder, &error))?;
    // Not through tempfile's wrapper, whose errors contain the temporary name.
    write_parts(file.as_file_mut(), parts)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync(folder)
}

/// Writes a folder of this name with these files, and replaces an existing one.
///
/// The new folder is filled and synced as `NAME.partial`. An existing one is renamed to
/// `NAME.replaced`, and removed once the new one has its name, so that the name always stands for a
/// whole folder or none. After a crash, the next call for this name removes a partial folder, and
/// renames a replaced one back where it has no successor.
///
/// # Errors
/// I/O errors, without the path, which the caller adds. On an error the partial folder is removed and
/// an existing one is unchanged, unless the parent could not be synced, or the replaced folder not be
/// removed, after the rename.
pub fn write_folder_whole<'a>(
    path: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> io::Result<()> {
    let [partial, replaced] = ["partial", "replaced"].map(|end| path.with_added_extension(end));
    let fill = || {
        if replaced.exists() && !path.exists() {
            fs::rename(&replaced, path)?;
        }
        remove_folder(&replaced)?;
        remove_folder(&partial)?;
        fs::create_dir(&partial)?;
        for (name, bytes) in files {
            let mut file = File::create_new(partial.join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        sync(&partial)?;
        if path.is_dir() {
            fs::rename(path, &replaced)?;
        }
        fs::rename(&partial, path)
    };
    let filled = fill();
    if filled.is_err() {
        // Errors of the clean-up would hide the first one.
        let _left = remove_folder(&partial);
        if !path.exists() {
            let _replaced = fs::rename(&replaced, path);
        }
    }
    filled?;
    match path.parent() {
        Some(folder) if folder != Path::new("") => sync(folder),
        _ => sync(Path::new(".")),
    }?;
    remove_folder(&replaced)
}

/// Removes from a folder the temporary files of [`write_whole`] that a crash left there.
///
/// # Errors
/// I/O errors, without the path, which the caller adds.
pub fn remove_partial(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(PARTIAL.as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes a folder with all its files, where there is one.
fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes the parts while another thread syncs what is written.
fn write_parts<Part: AsRef<[u8]>>(
    file: &mut File,
    parts: impl IntoIterator<Item = Part>,
) -> io::Result<()> {
    let same_file = file.try_clone()?;
    // One request waits while another is served; a sync covers everything written before it.
    let (block, blocks) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        // The system reports a failed write-back to one sync only, so this result must be kept.
        let disk = scope.spawn(move || blocks.iter().try_for_each(|()| same_file.sync_data()));
        let mut length = 0;
        for part in parts {
            for bytes in part.as_ref().chunks(BLOCK) {
                file.write_all(bytes)?;
                length += bytes.len();
                if length >= BLOCK {
                    length = 0;
                    // Fails where a request waits already, or where a sync failed: see `join`.
                    let _sent = block.try_send(());
                }
            }
        }
        drop(block);
        disk.join().expect("nothing in it panics")
    })
}

fn in_folder(folder: &Path, error: &io::Error) -> io::Error {
    let message = format!("cannot make a file in {}: {error}", folder.display());
    io::Error::new(error.kind(), message)
}

/// A rename survives a power cut only once its folder is synced too.
fn sync(folder: &Path) -> io::Result<()> {
    // Other systems do not open folders as files.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn folder() -> TempDir {
        // Named otherwise than temporary files, which no message may name.
        tempfile::Builder::new().prefix("folder").tempdir().expect("a temporary folder can be made")
    }

    fn write(path: &Path, text: &str) {
        write_whole(path, [text]).expect("the folder is writable");
    }

    /// Writing there fails with this message, and leaves as many files in the folder as there were.
    fn check_refused(folder: &TempDir, path: &Path, message: &str) {
        let count = || fs::read_dir(folder).expect("it exists").count();
        let before = count();
        let error = write_whole(path, ["new"]).expect_err(message).to_string();
        assert!(error.starts_with(message), "{error}");
        assert!(!error.contains(PARTIAL), "{error}");
        assert_eq!(count(), before);
    }

    #[test]
    fn a_file_is_made_of_its_parts_and_replaced_by_the_next() {
        let folder = folder();
        let path = folder.path().join("a");
        write_whole(&path, [&b"one"[..], b"", b"two"]).expect("the folder is writable");
        assert_eq!(fs::read(&path).expect("it was written"), b"onetwo");
        write(&path, "three");
        assert_eq!(fs::read(&path).expect("it was written"), b"three");
        assert_eq!(fs::read_dir(&folder).expect("it exists").count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = folder();
        let missing = folder.path().join("missing");
        let message = format!("cannot make a file in {}: ", missing.display());
        check_refused(&folder, &missing.join("a"), &message);
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_named() {
        let folder = folder();
        let file = folder.path().join("file");
        write(&file, "old");
        check_refused(&folder, &file.join("a"), "cannot make a file in ");
        assert_eq!(fs::read(&file).expect("it was written"), b"old");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_in_the_place_of_the_file_is_kept() {
        let folder = folder();
        let occupied = folder.path().join("occupied");
        fs::create_dir(&occupied).expect("the folder is writable");
        write(&occupied.join("a"), "old");
        check_refused(&folder, &occupied, "Is a directory");
        assert_eq!(fs::read(occupied.join("a")).expect("it was written"), b"old");
    }

    #[test]
    fn a_write_that_breaks_off_keeps_the_old_file_and_leaves_no_other() {
        let folder = folder();
        let path = folder.path().join("a");
        write(&path, "old");
        let parts = ["new", "broken"].into_iter().inspect(|part| assert_ne!(*part, "broken"));
        std::panic::catch_unwind(|| write_whole(&path, parts)).expect_err("the second part panics");
        assert_eq!(fs::read(&path).expect("it was written"), b"old");
        assert_eq!(fs::read_dir(&folder).expect("it exists").count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;

        let folder = folder();
        let [ours, ordinary] = ["ours", "ordinary"].map(|name| folder.path().join(name));
        write(&ours, "");
        fs::write(&ordinary, "").expect("the folder is writable");
        let mode = |path: &Path| fs::metadata(path).expect("it was written").permissions().mode();
        assert_eq!(mode(&ours), mode(&ordinary));
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("it exists");
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.expect("it exists").file_name().into_string().expect("names are text")
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_program_left_is_removed() {
        let folder = folder();
        for name in [".partial-Xy12", "partial", ".hidden"] {
            write(&folder.path().join(name), "");
        }
        remove_partial(folder.path()).expect("the folder is writable");
        assert_eq!(names(folder.path()), [".hidden", "partial"]);
    }

    #[test]
    fn a_folder_replaces_the_one_before_and_what_was_left_of_another() {
        let folder = folder();
        let path = folder.path().join("state");
        fs::create_dir(folder.path().join("state.partial")).expect("the folder is writable");
        write_folder_whole(&path, [("a", &b"one"[..]), ("b", b"two")]).expect("it is writable");
        assert_eq!(names(&path), ["a", "b"]);
        write_folder_whole(&path, [("c", &b"three"[..])]).expect("it is writable");
        assert_eq!(names(&path), ["c"]);
        assert_eq!(names(folder.path()), ["state"]);
    }

    /// Killed when the old folder had made room, and when the new one stood in its place.
    #[test]
    fn what_a_kill_left_of_a_replacement_is_mended() {
        let folder = folder();
        let path = folder.path().join("state");
        let left = |name: &str, file: &str| {
            let left = folder.path().join(name);
            fs::create_dir(&left).expect("the folder is writable");
            write(&left.join(file), "");
        };
        left("state.replaced", "old");
        left("state.partial", "new");
        write_folder_whole(&path, [("missing/a", &b""[..])]).expect_err("there is no such folder");
        assert_eq!(names(&path), ["old"]);
        assert_eq!(names(folder.path()), ["state"]);

        left("state.replaced", "older");
        write_folder_whole(&path, [("missing/a", &b""[..])]).expect_err("there is no such folder");
        assert_eq!(names(&path), ["old"]);
        assert_eq!(names(folder.path()), ["state"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_in_the_place_of_a_folder_is_kept() {
        let folder = folder();
        let path = folder.path().join("state");
        write(&path, "old");
        write_folder_whole(&path, [("a", &b"new"[..])]).expect_err("it is no folder");
        assert_eq!(fs::read(&path).expect("it was written"), b"old");
        assert_eq!(names(folder.path()), ["state"]);
    }

    #[test]
    fn a_folder_that_breaks_off_keeps_the_old_one() {
        let folder = folder();
        let path = folder.path().join("state");
        write_folder_whole(&path, [("a", &b"one"[..])]).expect("it is writable");
        let files = [("b", &b"two"[..]), ("missing/c", b"three")];
        write_folder_whole(&path, files).expect_err("there is no folder for the second file");
        assert_eq!(names(&path), ["a"]);
        assert_eq!(names(folder.path()), ["state"]);
    }
}
