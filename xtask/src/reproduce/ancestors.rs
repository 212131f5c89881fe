//! The models that learngenes are condensed from: `experiments/ancestors.toml`.

use std::{env, fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::experiment::FOLDER;

const FILE: &str = "ancestors.toml";

/// A model, and what commands are told about it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ancestor {
    /// Short name by which experiments call it.
    pub(crate) id: String,
    /// Name for readers.
    pub(crate) name: String,
    pub(crate) family: String,
    /// Where it lies, from the root.
    checkpoint: String,
    /// A variable of the environment that says where it lies, if it is set.
    variable: Option<String>,
    /// Radius of clusters in pixels; the program's default where it is left out.
    pub(crate) eps: Option<f64>,
    /// Flags with the images of the probe.
    pub(crate) probe: String,
    /// Flags that all its descendants have in common.
    #[serde(default)]
    pub(crate) expand: String,
    /// Dataset on whose test images it is measured, where it has a classifier.
    pub(crate) test: Option<String>,
    /// Images that one as deep learns from in a second on two idle cores, for estimates of time.
    pub(crate) images_per_second: f64,
    /// What it saw.
    pub(crate) note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ancestors: Vec<Ancestor>,
}

/// Reads all ancestors.
///
/// # Errors
/// When the file cannot be read or does not say what ancestors are.
pub(crate) fn read(root: &Path) -> Result<Vec<Ancestor>> {
    let text = fs::read_to_string(root.join(FOLDER).join(FILE))
        .with_context(|| format!("cannot read {FOLDER}/{FILE}"))?;
    let file: File = toml::from_str(&text).with_context(|| format!("{FOLDER}/{FILE}"))?;
    Ok(file.ancestors)
}

impl Ancestor {
    /// Where the checkpoint lies, as one types it in the root, or why it does not.
    pub(crate) fn checkpoint(&self, root: &Path) -> Result<String, String> {
        let told = self.variable.as_ref().and_then(|name| env::var(name).ok());
        let path = told.unwrap_or_else(|| self.checkpoint.clone());
        if root.join(&path).is_file() {
            return Ok(path);
        }
        let or = self.variable.as_ref().map(|name| format!(", or set {name}"));
        Err(format!("{}: there is no {path}{}", self.name, or.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESK: &str = r#"
        [[ancestors]]
        id = "desk-vit"
        name = "desk ViT"
        family = "vit"
        checkpoint = "desk.safetensors"
        probe = "--images cifar10-sample"
        images_per_second = 100.0
        note = "small"
    "#;

    fn desk() -> Ancestor {
        let mut file: File = toml::from_str(DESK).expect("an ancestor");
        file.ancestors.remove(0)
    }

    #[test]
    fn a_checkpoint_that_is_not_there_is_told() {
        let root = tempfile::tempdir().expect("a folder");
        let reason = desk().checkpoint(root.path()).expect_err("missing");
        assert_eq!(reason, "desk ViT: there is no desk.safetensors");
        fs::write(root.path().join("desk.safetensors"), "").expect("a file");
        assert_eq!(desk().checkpoint(root.path()).as_deref(), Ok("desk.safetensors"));
    }

    #[test]
    fn a_variable_that_may_be_set_is_told() {
        let root = tempfile::tempdir().expect("a folder");
        let variable = Some("LEARNGENE_NO_SUCH_VARIABLE".to_owned());
        let reason = Ancestor { variable, ..desk() }.checkpoint(root.path()).expect_err("missing");
        let expected = "desk ViT: there is no desk.safetensors, or set LEARNGENE_NO_SUCH_VARIABLE";
        assert_eq!(reason, expected);
    }

    #[test]
    fn the_ancestors_of_this_repository_are_read() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let ancestors = read(root).expect("the file is in the repository");
        for id in ["desk-vit", "desk-swin"] {
            let ancestor = ancestors.iter().find(|ancestor| ancestor.id == id).expect(id);
            ancestor.checkpoint(root).expect("it is in the repository");
        }
    }
}
