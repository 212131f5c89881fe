//! Checkpoints by their names on the Hugging Face hub.
//!
//! hf-hub keeps what it downloads in the cache that all programs of the hub share (`HF_HOME`), each
//! file under the hash that the hub has for it, and needs no network for what lies there.
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

use anyhow::{anyhow, ensure};
use hf_hub::{
    Cache, Repo, RepoType,
    api::{
        Progress,
        sync::{ApiBuilder, ApiError, ApiRepo},
    },
};
use indicatif::ProgressBar;
use learngene_tensors::Sha256;
use learngene_training::BEST;

use crate::{files::folder_of, progress};

const PREFIX: &str = "hf:";
/// Files that say what the weights do not.
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

/// Why a text is not the name of a model.
const NOT_A_NAME: &str =
    "expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION, as in hf:timm/deit_tiny_patch16_224.fb_in1k";

impl FromStr for HubModel {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
        let is_word = |word: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && word.chars().all(is_plain) && !word.chars().all(|c| c == '.')
        };
        let is_name = name.split('/').count() == 2 && name.split('/').all(is_word);
        if !is_name || !revision.split('/').all(is_word) {
            return Err(NOT_A_NAME);
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
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(PREFIX) {
            Some(name) => Ok(Self::Hub(name.parse()?, OnceLock::new())),
            // The model of a training run.
            None => Ok(Self::File(match Path::new(text).join(BEST) {
                best if best.is_file() => best,
                _ => text.into(),
            })),
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
    pub fn path(&self) -> anyhow::Result<&Path> {
        match self {
            Self::File(path) => Ok(path),
            Self::Hub(model, fetched) => match fetched.get() {
                Some(path) => Ok(path),
                None => model.fetch().map(|path| fetched.get_or_init(|| path).as_path()),
            },
        }
    }

    /// Refuses a download whose hash is not the one that the hub has for it.
    pub fn check(&self, found: Sha256) -> anyhow::Result<()> {
        let Self::Hub(model, _) = self else { return Ok(()) };
        let link = self.path()?;
        // A snapshot links to a file that is named for its hash; small files for one of git's.
        let file = link.canonicalize().unwrap_or_else(|_| link.into());
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Ok(wanted) = name.parse::<Sha256>() {
            ensure!(
                wanted == found,
                "{model}: {} has the SHA-256 {found}, expected {wanted}; remove it to download it again",
                file.display()
            );
        }
        Ok(())
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

    fn fetch(&self) -> anyhow::Result<PathBuf> {
        if let Some(weights) = self.cached() {
            // The weights are what was asked for, so nothing that fails here keeps anybody from them.
            if env::var_os("HF_HUB_OFFLINE").is_none_or(|offline| offline != "1")
                && let Err(error) = self.fetch_beside(&weights)
            {
                tracing::info!("{error}");
            }
            return Ok(weights);
        }
        let api = self.api(self.revision.clone())?;
        let weights = self.download(&api, WEIGHTS).map_err(|error| self.error(WEIGHTS, error))?;
        self.fetch_beside(&weights)?;
        Ok(weights)
    }

    /// Fetches what is missing beside weights in the cache, where timm leaves them alone.
    ///
    /// What their commit does not have is noted as the hub's own library does it, so that nobody asks
    /// again.
    fn fetch_beside(&self, weights: &Path) -> anyhow::Result<()> {
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
                Err(error) if has_status(&error, &[404]) => {
                    // In a cache that cannot be written to it is asked again.
                    let _noted =
                        fs::create_dir_all(&absent).and_then(|()| fs::write(absent.join(file), []));
                }
                Err(error) => return Err(self.error(file, error)),
            }
        }
        Ok(())
    }

    fn api(&self, revision: String) -> anyhow::Result<ApiRepo> {
        let mut api = ApiBuilder::from_env();
        if let Ok(token) = env::var("HF_TOKEN") {
            api = api.with_token(Some(token));
        }
        let api = api.build().map_err(|error| self.error(WEIGHTS, error))?;
        Ok(api.repo(self.repo(revision)))
    }

    fn download(&self, api: &ApiRepo, file: &str) -> Result<PathBuf, ApiError> {
        let bar = progress::bar(0, "bytes").with_message(format!("{self}: {file}"));
        let fetched = api.download_with_progress(file, Shown(&bar));
        bar.finish_and_clear();
        fetched
    }

    fn error(&self, file: &str, error: ApiError) -> anyhow::Error {
        if has_status(&error, &[404]) {
            return anyhow!(
                "{self}: the hub has no {file} of it; `learngene list models` lists names"
            );
        }
        // The hub also answers so for names that do not exist.
        if has_status(&error, &[401, 403]) {
            return anyhow!(
                "{self}: the hub requires permission: accept its terms there, and set HF_TOKEN"
            );
        }
        let cache = Cache::from_env();
        let cache = cache.path().display();
        let place =
            format!("{self}: cannot download {file}, which is not in the cache {cache} either");
        anyhow::Error::new(error).context(place)
    }
}

/// Whether a server answered with one of these HTTP status codes.
fn has_status(error: &ApiError, codes: &[u16]) -> bool {
    let ApiError::RequestError(request) = error else { return false };
    matches!(**request, ureq::Error::StatusCode(code) if codes.contains(&code))
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

    /// Checks how a source is shown; none for what is not a source.
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
    fn a_revision_may_be_named() {
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
