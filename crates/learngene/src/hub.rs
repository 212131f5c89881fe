//! Checkpoints by their names on the Hugging Face hub.
//!
//! hf-hub keeps what it downloads in the cache that all programs of the hub share (`HF_HOME`), each
//! file under the hash that the hub tells of it, and asks no network for what lies there.
//! `HF_ENDPOINT` names another server, `HF_TOKEN` the user to one that asks for it. With
//! `HF_HUB_OFFLINE=1` weights in the cache are taken with what lies beside them.

use std::{
    env,
    fmt::{self, Display},
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::OnceLock,
};

use hf_hub::{
    Cache, Repo, RepoType,
    api::{
        Progress,
        sync::{ApiBuilder, ApiError, ApiRepo},
    },
};
use indicatif::ProgressBar;
use thiserror::Error;

use crate::{files::folder_of, progress};

const PREFIX: &str = "hf:";
/// Files that tell what the weights alone cannot.
const BESIDE: [&str; 2] = ["config.json", "preprocessor_config.json"];
const WEIGHTS: &str = "model.safetensors";

/// Where a checkpoint comes from.
#[derive(Clone, Debug)]
pub enum Source {
    File(PathBuf),
    /// Downloaded at its first use.
    Hub(HubModel, OnceLock<PathBuf>),
}

/// A model of the hub, of its main branch or of a revision.
#[derive(Clone, Debug, PartialEq)]
pub struct HubModel {
    name: String,
    revision: String,
}

/// What is no name of a model of the hub.
#[derive(Debug, Error)]
#[error(
    "wanted hf:OWNER/NAME or hf:OWNER/NAME@REVISION, as in hf:timm/deit_tiny_patch16_224.fb_in1k"
)]
pub struct NameError;

/// Why a model of the hub is not there.
#[derive(Debug, Error)]
pub enum HubError {
    #[error("{model}: the hub has no {file} of it; `learngene models` lists names")]
    Unknown { model: HubModel, file: &'static str },
    #[error("{model}: the hub asks for leave to read it: accept its terms there, and set HF_TOKEN")]
    Forbidden { model: HubModel },
    #[error("{model}: cannot download {file}, which is not in the cache {} either", cache.display())]
    Download { model: HubModel, file: &'static str, cache: PathBuf, source: Box<ApiError> },
    #[error(
        "{model}: {} has the SHA-256 {found}, the hub told {wanted}; remove it to download it again",
        file.display()
    )]
    Hash { model: HubModel, file: PathBuf, found: String, wanted: String },
}

impl FromStr for HubModel {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
        let is_word = |word: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && word.chars().all(is_plain) && !word.chars().all(|c| c == '.')
        };
        let is_name = name.split('/').count() == 2 && name.split('/').all(is_word);
        if !is_name || !revision.split('/').all(is_word) {
            return Err(NameError);
        }
        Ok(Self { name: name.into(), revision: revision.into() })
    }
}

impl Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.name)?;
        if self.revision == "main" { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

impl FromStr for Source {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.strip_prefix(PREFIX) {
            Some(name) => Ok(Self::Hub(name.parse()?, OnceLock::new())),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Hub(model, _) => model.fmt(f),
        }
    }
}

impl Source {
    /// The user's own file, which no output may replace; the cache of the hub is out of the way.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Hub(..) => None,
        }
    }

    /// Where the checkpoint lies, after it was downloaded where it has to be.
    pub fn path(&self) -> Result<&Path, HubError> {
        match self {
            Self::File(path) => Ok(path),
            Self::Hub(model, fetched) => match fetched.get() {
                Some(path) => Ok(path),
                None => model.fetch().map(|path| fetched.get_or_init(|| path).as_path()),
            },
        }
    }

    /// Refuses a download that is not what the hub told of it; `found` is the SHA-256 of the file.
    pub fn check(&self, found: &str) -> Result<(), HubError> {
        let Self::Hub(model, _) = self else { return Ok(()) };
        let link = self.path()?;
        // A snapshot links to a file that is named for its hash; small files for one of git's.
        let file = link.canonicalize().unwrap_or_else(|_| link.into());
        match file.file_name().and_then(|name| name.to_str()) {
            Some(wanted) if is_sha256(wanted) && wanted != found => {
                let (found, wanted) = (found.into(), wanted.into());
                Err(HubError::Hash { model: model.clone(), file, found, wanted })
            }
            _ => Ok(()),
        }
    }
}

impl HubModel {
    fn repo(&self, revision: String) -> Repo {
        Repo::with_revision(self.name.clone(), RepoType::Model, revision)
    }

    /// The weights in the cache, if they are there.
    pub fn cached(&self) -> Option<PathBuf> {
        Cache::from_env().repo(self.repo(self.revision.clone())).get(WEIGHTS)
    }

    fn fetch(&self) -> Result<PathBuf, HubError> {
        if let Some(weights) = self.cached() {
            // The weights are what was asked for, so nothing that fails here keeps anybody from them.
            if env::var_os("HF_HUB_OFFLINE").is_none_or(|offline| offline != "1")
                && let Err(error) = self.fetch_beside(&weights)
            {
                tracing::info!("{error}");
            }
            return Ok(weights);
        }
        let weights = self.download(&self.api(self.revision.clone())?, WEIGHTS)?;
        self.fetch_beside(&weights)?;
        Ok(weights)
    }

    /// Fetches what is missing beside weights in the cache, where timm leaves them alone.
    ///
    /// What their commit does not have is noted as the hub's own library does it, so that nobody asks
    /// again.
    fn fetch_beside(&self, weights: &Path) -> Result<(), HubError> {
        let snapshot = folder_of(weights);
        let Some(commit) = snapshot.file_name().and_then(|name| name.to_str()) else {
            return Ok(());
        };
        let folder = Cache::from_env().path().join(self.repo(commit.into()).folder_name());
        let absent = folder.join(".no_exist").join(commit);
        let is_missing = |file: &str| !snapshot.join(file).exists() && !absent.join(file).exists();
        for file in BESIDE.into_iter().filter(|file| is_missing(file)) {
            // Of that commit, for the branch may have moved on.
            match self.download(&self.api(commit.into())?, file) {
                Ok(_) => {}
                Err(HubError::Unknown { .. }) => {
                    // In a cache that cannot be written to it is asked again.
                    let _noted =
                        fs::create_dir_all(&absent).and_then(|()| fs::write(absent.join(file), []));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn api(&self, revision: String) -> Result<ApiRepo, HubError> {
        let mut api = ApiBuilder::from_env();
        if let Ok(token) = env::var("HF_TOKEN") {
            api = api.with_token(Some(token));
        }
        let api = api.build().map_err(|source| self.error(WEIGHTS, source))?;
        Ok(api.repo(self.repo(revision)))
    }

    fn download(&self, api: &ApiRepo, file: &'static str) -> Result<PathBuf, HubError> {
        let bar = progress::bar(0, "bytes").with_message(format!("{self}: {file}"));
        let fetched = api.download_with_progress(file, Shown(&bar));
        bar.finish_and_clear();
        fetched.map_err(|source| self.error(file, source))
    }

    fn error(&self, file: &'static str, source: ApiError) -> HubError {
        let model = self.clone();
        match &source {
            ApiError::RequestError(request) => match **request {
                ureq::Error::StatusCode(404) => HubError::Unknown { model, file },
                // What is not for everyone is told so, and what is not there at all, too.
                ureq::Error::StatusCode(401 | 403) => HubError::Forbidden { model },
                _ => self.unreachable(file, source),
            },
            _ => self.unreachable(file, source),
        }
    }

    fn unreachable(&self, file: &'static str, source: ApiError) -> HubError {
        let cache = Cache::from_env().path().clone();
        HubError::Download { model: self.clone(), file, cache, source: source.into() }
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// A download on a bar.
struct Shown<'a>(&'a ProgressBar);

impl Progress for Shown<'_> {
    fn init(&mut self, size: usize, _: &str) {
        self.0.set_length(size as u64);
        self.0.set_position(0);
    }

    fn update(&mut self, size: usize) {
        self.0.inc(size as u64);
    }

    fn finish(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks how a source is told again; none for no source.
    #[track_caller]
    fn check(text: &str, wanted: Option<&str>) {
        assert_eq!(text.parse().ok().map(|source: Source| source.to_string()).as_deref(), wanted);
    }

    #[test]
    fn a_name_has_an_owner() {
        check(
            "hf:timm/deit_tiny_patch16_224.fb_in1k",
            Some("hf:timm/deit_tiny_patch16_224.fb_in1k"),
        );
        check("hf:deit_tiny", None);
        check("hf:a/b/c", None);
        check("hf:/b", None);
        check("hf:../b", None);
        check("hf:a/b?c", None);
    }

    #[test]
    fn a_revision_may_be_told() {
        check("hf:a/b@main", Some("hf:a/b"));
        check("hf:a/b@v1.0", Some("hf:a/b@v1.0"));
        check("hf:a/b@", None);
        check("hf:a/b@../x", None);
    }

    #[test]
    fn all_else_is_a_file() {
        check("folder/hf.safetensors", Some("folder/hf.safetensors"));
    }
}
