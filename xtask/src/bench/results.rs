//! Results that are kept: lines for programs, a table and a plot for people, and what they are of.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::{program::Program, workspace::Workspace};

/// Results of one kind in a folder of `benches/results`.
pub(super) struct Kept {
    folder: PathBuf,
    kind: &'static str,
    about: About,
}

/// The file `KIND.about.json`: what the results of that kind beside it are of.
#[derive(Serialize)]
struct About {
    command: String,
    /// Of the tree that was measured.
    commit: String,
    processor: String,
    cores: usize,
    memory_bytes: Option<u64>,
    system: &'static str,
}

impl Kept {
    /// Makes the folder, and notes what its results will be of: before anything is measured, for the
    /// tree may change meanwhile.
    pub(super) fn open(workspace: &Workspace, name: &str, kind: &'static str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        ensure!(
            !name.is_empty() && !name.starts_with('.') && name.chars().all(plain),
            "--keep wants letters, digits, -, _ and . for a folder's name, got `{name}`"
        );
        let folder = workspace.root.join("benches/results").join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let about = About {
            command: command(std::env::args().skip(1)),
            commit: commit(workspace)?,
            processor: processor().unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(),
            system: std::env::consts::OS,
        };
        Ok(Self { folder, kind, about })
    }

    /// Writes the results: a line of JSON for each, a table and a plot, and what they are of.
    pub(super) fn write<T: Serialize>(&self, results: &[T], table: &str, plot: &str) -> Result<()> {
        let lines: Vec<String> =
            results.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let about = serde_json::to_string_pretty(&self.about).context("facts are plain data")?;
        for (extension, text) in [
            ("about.json", about + "\n"),
            ("jsonl", lines.join("\n") + "\n"),
            ("md", table.to_owned()),
            ("svg", plot.to_owned()),
        ] {
            let path = self.folder.join(format!("{}.{extension}", self.kind));
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("{}", path.display());
        }
        Ok(())
    }
}

/// The commit that is checked out; `-dirty` where something but kept results was changed since.
fn commit(workspace: &Workspace) -> Result<String> {
    let git = || Program::new("git", &workspace.root);
    let commit = git().args(["rev-parse", "--short=12", "HEAD"]).output()?;
    let status = ["status", "--porcelain", "--", ".", ":!benches/results"];
    let dirty = if git().args(status).output()?.is_empty() { "" } else { "-dirty" };
    Ok(format!("{}{dirty}", commit.trim()))
}

/// What was typed, but for paths of this machine.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let is_path = |argument: &str| argument.contains(std::path::MAIN_SEPARATOR);
    let shown = |argument: String| if is_path(&argument) { "PATH".into() } else { argument };
    let arguments: Vec<String> = arguments.map(shown).collect();
    format!("cargo xtask {}", arguments.join(" "))
}

/// The model that Linux names.
fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = info.lines().find(|line| line.split(':').next().map(str::trim) == Some(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    // Virtual machines often hide the name; family and model still tell the generation.
    let numbers = field("cpu family").zip(field("model"));
    let numbers = numbers.map(|(family, model)| format!(", family {family}, model {model}"));
    Some(field("model name")? + &numbers.unwrap_or_default())
}

fn memory_bytes() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// A table in Markdown.
pub(super) fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rule = vec!["---".to_owned(); head.len()];
    let rows: String = rows.map(|cells| line(&cells)).collect();
    line(&head) + &line(&rule) + &rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_head_a_rule_and_rows() {
        let rows = [vec!["a".to_owned(), "1".to_owned()]];
        assert_eq!(table(&["x", "y"], rows.into_iter()), "| x | y |\n| --- | --- |\n| a | 1 |\n");
    }

    #[test]
    fn paths_of_this_machine_are_not_told() {
        let typed = ["bench", "--against-pytorch", "/home/me/venv/bin/python", "--json"];
        let told = command(typed.map(String::from).into_iter());
        assert_eq!(told, "cargo xtask bench --against-pytorch PATH --json");
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        let workspace = Workspace::read().expect("the workspace has readable manifests");
        for name in ["", "..", "a/b", ".hidden"] {
            let error =
                Kept::open(&workspace, name, "times").err().expect("no folder's name").to_string();
            assert!(error.contains(&format!("got `{name}`")), "{error}");
        }
    }
}
