use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use crate::{Error, Learngene, Manifest, header};

impl Learngene {
    /// Reads a file and checks everything about it.
    ///
    /// # Errors
    /// [`Error::InFile`] with the path and what was wrong.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        in_file(path.as_ref(), |path| {
            let (file, length) = open(path)?;
            Self::from_reader(file, length)
        })
    }

    /// Reads the manifest alone, however large the file is.
    ///
    /// Checks all that [`Learngene::read`] checks but the tensors' values.
    ///
    /// # Errors
    /// [`Error::InFile`] with the path and what was wrong.
    pub fn read_manifest(path: impl AsRef<Path>) -> Result<Manifest, Error> {
        in_file(path.as_ref(), |path| {
            let (mut file, length) = open(path)?;
            Ok(header::decode(&mut file, length)?.manifest)
        })
    }

    /// Writes the file, which appears whole or not at all: it is written under another name in the
    /// same folder, brought to the disk, then renamed. A file of this name is replaced.
    ///
    /// # Errors
    /// [`Error::InFile`] with the path and what was wrong.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        in_file(path.as_ref(), |path| {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let mut file = temporary_file(folder).map_err(failed("write into its folder"))?;
            for part in self.parts() {
                file.write_all(part).map_err(failed("write"))?;
            }
            file.as_file().sync_all().map_err(failed("bring to the disk"))?;
            file.persist(path).map_err(|error| failed("rename into place")(error.error))?;
            sync_folder(folder).map_err(failed("bring its folder to the disk"))
        })
    }
}

fn in_file<T>(path: &Path, act: impl FnOnce(&Path) -> Result<T, Error>) -> Result<T, Error> {
    act(path).map_err(|problem| Error::InFile { path: path.to_owned(), problem: Box::new(problem) })
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> Error {
    move |problem| Error::Io { action, problem }
}

fn open(path: &Path) -> Result<(File, u64), Error> {
    let file = File::open(path).map_err(failed("open"))?;
    let data = file.metadata().map_err(failed("see the length"))?;
    if data.is_dir() {
        let problem = io::ErrorKind::IsADirectory.into();
        return Err(Error::Io { action: "read", problem });
    }
    Ok((file, data.len()))
}

fn temporary_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".learngene-").suffix(".tmp");
    // Temporary files are private by default; this one becomes an ordinary file.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// A rename lasts through a power cut only when the folder is on the disk too.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Folders cannot be opened as files on other systems.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
