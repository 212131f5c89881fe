//! What a recipe file says of the length of a run, for estimates of time alone.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;

/// How long a run is; what `learngene train` has by default where the file says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Length {
    pub(crate) epochs: u64,
    pub(crate) evaluations_per_epoch: u64,
}

impl Default for Length {
    fn default() -> Self {
        Self { epochs: 50, evaluations_per_epoch: 1 }
    }
}

impl Length {
    /// Reads a recipe.
    ///
    /// # Errors
    /// When the file cannot be read or is no TOML.
    pub(crate) fn read(root: &Path, recipe: &str) -> Result<Self> {
        let text = fs::read_to_string(root.join(recipe))
            .with_context(|| format!("cannot read {recipe}"))?;
        toml::from_str(&text).with_context(|| recipe.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_recipe_leaves_out_is_as_by_default() {
        let root = tempfile::tempdir().expect("a folder");
        fs::write(root.path().join("a.toml"), "epochs = 3\nbatch_size = 32").expect("a file");
        let length = Length::read(root.path(), "a.toml").expect("a recipe");
        assert_eq!(length, Length { epochs: 3, evaluations_per_epoch: 1 });
        assert!(Length::read(root.path(), "b.toml").is_err());
    }
}
