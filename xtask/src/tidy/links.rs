//! Links of Markdown files to other files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::Finding;

/// Finds links to files that do not exist. Links to other sites, and to headings of the same page,
/// are not followed.
pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(root.join(file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        let folder = root.join(file.parent().unwrap_or(Path::new("")));
        for (line, target) in file_links(&text) {
            if !folder.join(&target).exists() {
                let place = format!("{}:{line}", file.display());
                findings
                    .push(Finding::new(place, format!("link to `{target}`, which does not exist")));
            }
        }
    }
    Ok(findings)
}

/// Targets of the links of a page that are files, each with its line, counted from 1.
fn file_links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let prose = without_code(line);
            let targets = inline_targets(&prose).into_iter().chain(defined_target(&prose));
            links.extend(targets.filter_map(file_of).map(|file| (index + 1, file)));
        }
    }
    links
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The targets of `[text](target)` and `![text](target "title")`.
fn inline_targets(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()).collect()
}

/// The target of `[name]: target`.
fn defined_target(line: &str) -> Option<&str> {
    let (_, target) = line.strip_prefix('[')?.split_once("]: ")?;
    target.split_whitespace().next()
}

/// The file that a target names, without its heading; none for another site or the page itself.
fn file_of(target: &str) -> Option<String> {
    let file = target.split('#').next().unwrap_or(target).trim_matches(['<', '>']);
    let is_elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
    (!is_elsewhere).then(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_links(text: &str, expected: &[(usize, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(line, file)| (*line, (*file).to_owned())).collect();
        assert_eq!(file_links(text), expected);
    }

    #[test]
    fn files_are_found_on_their_lines() {
        check_links(
            "[a](A.md)\n\nsee [b](b/B.md#part) and ![c](c.png \"C\")",
            &[(1, "A.md"), (3, "b/B.md"), (3, "c.png")],
        );
    }

    #[test]
    fn definitions_are_links() {
        check_links("[a]: A.md\n[b]: <https://example.org>", &[(1, "A.md")]);
    }

    #[test]
    fn other_sites_and_headings_are_not_files() {
        check_links("[a](https://example.org/a.md) [b](#part) [c](mailto:a@example.org)", &[]);
    }

    #[test]
    fn code_holds_no_links() {
        check_links("`[a](A.md)`\n```\n[b](B.md)\n```\n[c](C.md)", &[(5, "C.md")]);
    }

    #[test]
    fn a_link_is_relative_to_its_page() {
        let folder = tempfile::tempdir().expect("temporary files can be made");
        let root = folder.path();
        fs::create_dir(root.join("docs")).expect("a new folder is writable");
        fs::write(root.join("docs/A.md"), "[b](B.md) [c](../C.md)")
            .expect("a new folder is writable");
        fs::write(root.join("C.md"), "").expect("a new folder is writable");
        let found = check(root, &["docs/A.md".into(), "C.md".into()]);
        let expected = Finding::new("docs/A.md:1", "link to `B.md`, which does not exist");
        assert_eq!(found.expect("the pages are readable"), [expected]);
    }
}
