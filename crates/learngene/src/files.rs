//! Output files, whole or not at all.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, bail};

/// Writes a file beside its place, then moves it there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        // Temporary files are private by default; this one becomes an ordinary file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Refuses an output in the place of a file that is read.
pub fn check_output(out: &Path, inputs: &[&Path]) -> anyhow::Result<()> {
    let is_out = |input: &&&Path| match (input.canonicalize(), out.canonicalize()) {
        (Ok(input), Ok(out)) => input == out,
        // What does not exist is not overwritten.
        _ => false,
    };
    match inputs.iter().find(is_out) {
        Some(input) => bail!("{} is read, so choose another --out", input.display()),
        None => Ok(()),
    }
}

/// Reads a file, naming it when that fails.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
