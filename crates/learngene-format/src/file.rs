use std::{fs::File, io, path::Path};

use learngene_tensors::write_whole;

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

    /// Writes the file, which appears whole or not at all. A file of this name is replaced.
    ///
    /// # Errors
    /// [`Error::InFile`] with the path and what was wrong.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        in_file(path.as_ref(), |path| write_whole(path, self.parts()).map_err(failed("write")))
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
