//! Files of a crate that import each other in a circle.
//!
//! Only `use` lines of code that ships count, followed through re-exports. Not seen are paths written
//! out elsewhere, names from a glob, renamed re-exports, and modules within a file. A parent and its
//! own children may know each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Finding, sources::Source};

/// From the root of a crate, as in `["tidy", "cycles"]`.
type Path = Vec<String>;

/// How many re-exports of re-exports are followed.
const MAX_HOPS: usize = 8;

/// Finds a circle of every tangle of files.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, BTreeMap<Path, &str>> = BTreeMap::new();
    for source in sources {
        let Some((folder, file)) = source.path.to_str().and_then(|p| p.split_once("/src/")) else {
            continue;
        };
        crates.entry(folder).or_default().insert(module(file), &source.text);
    }
    let circles = |(folder, files): (&str, BTreeMap<Path, &str>)| {
        let finding = |circle: Vec<Path>| {
            let names: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
            Finding::new(folder, format!("imports in a circle: {}", names.join(" -> ")))
        };
        circles(&Crate::new(&files).imports()).into_iter().map(finding).collect::<Vec<_>>()
    };
    crates.into_iter().flat_map(circles).collect()
}

fn module(file: &str) -> Path {
    let mut path: Path = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    path.pop_if(|last| matches!(last.as_str(), "lib" | "main" | "mod"));
    path
}

/// Modules of a crate, and what each brings into its scope.
struct Crate {
    uses: BTreeMap<Path, Vec<Path>>,
    /// What a name in a module stands for: `["augment", "Mix"]` for `["augment", "mix", "Mix"]`.
    names: BTreeMap<Path, Path>,
}

impl Crate {
    fn new(files: &BTreeMap<Path, &str>) -> Self {
        let tests: Vec<Path> = files
            .iter()
            .flat_map(|(module, text)| {
                let after = text.split("#[cfg(test)]\nmod ").skip(1);
                let names = after.filter_map(|text| text.lines().next()?.strip_suffix(';'));
                names.map(|name| [module.as_slice(), &[name.to_owned()]].concat())
            })
            .collect();
        let ships = |module: &Path| !tests.iter().any(|test| module.starts_with(test));
        let uses: BTreeMap<Path, Vec<Path>> = files
            .iter()
            .filter(|(module, _)| ships(module))
            .map(|(module, text)| (module.clone(), uses(module, text)))
            .collect();
        let name = |module: &Path, path: &Path| {
            let name = [module.as_slice(), &[path.last()?.clone()]].concat();
            Some((name, path.clone()))
        };
        let names = uses.iter().flat_map(|(module, paths)| {
            paths.iter().filter_map(move |path| name(module, path)).collect::<Vec<_>>()
        });
        let names = names.collect();
        Self { uses, names }
    }

    /// Which file defines what a path leads to.
    fn home(&self, path: &[String], hops: usize) -> Option<&Path> {
        (0..=path.len()).rev().map(|length| &path[..length]).find_map(|start| {
            if let Some((module, _)) = self.uses.get_key_value(start) {
                return Some(module);
            }
            let target = self.names.get(start).filter(|_| hops > 0)?;
            self.home(target, hops - 1)
        })
    }

    /// Which files each file imports, but for its parents and children.
    fn imports(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let of = |module: &Path, paths: &[Path]| -> BTreeSet<&Path> {
            let homes = paths.iter().filter_map(|path| self.home(path, MAX_HOPS));
            homes.filter(|home| !home.starts_with(module) && !module.starts_with(home)).collect()
        };
        self.uses.iter().map(|(module, paths)| (module, of(module, paths))).collect()
    }
}

/// The paths that a file's `use` lines name, from the crate's root.
fn uses(module: &[String], text: &str) -> Vec<Path> {
    // Tests within a file are its last part.
    let end = text.match_indices("#[cfg(test)]\nmod ").find(|(start, _)| {
        text[start + 1..].lines().nth(1).is_some_and(|line| line.ends_with('{'))
    });
    let text = end.map_or(text, |(start, _)| &text[..start]);
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code = format!(" {}", lines.collect::<Vec<_>>().join(" "));
    let trees = code.split(';').filter_map(|part| Some(part.rsplit_once(" use ")?.1));
    let mut paths = Vec::new();
    trees.for_each(|tree| expand(module, tree, &mut paths));
    paths
}

/// Adds the paths of a tree such as `super::{a, b::{self, C}}`, whose parts follow `base`.
fn expand(base: &[String], tree: &str, paths: &mut Vec<Path>) {
    let mut depth = 0_i32;
    let branches = tree.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    for branch in branches.map(str::trim).filter(|branch| !branch.is_empty()) {
        let (head, rest) = branch.split_once('{').unwrap_or((branch, ""));
        let mut path = base.to_vec();
        for part in head.split("::").filter_map(|part| part.split_whitespace().next()) {
            match part {
                "crate" => path.clear(),
                "super" => drop(path.pop()),
                "self" => (),
                name => path.push(name.to_owned()),
            }
        }
        match rest.strip_suffix('}') {
            Some(tree) => expand(&path, tree, paths),
            None => paths.push(path),
        }
    }
}

/// A shortest circle of every tangle, from one of its files back to it.
fn circles(imports: &BTreeMap<&Path, BTreeSet<&Path>>) -> Vec<Vec<Path>> {
    let mut circles: Vec<Vec<Path>> = Vec::new();
    for start in imports.keys() {
        if circles.iter().all(|circle| !circle.contains(start)) {
            circles.extend(circle(start, imports));
        }
    }
    circles
}

fn circle(start: &Path, imports: &BTreeMap<&Path, BTreeSet<&Path>>) -> Option<Vec<Path>> {
    let mut reached = BTreeSet::new();
    let mut ways = VecDeque::from([vec![start.clone()]]);
    while let Some(way) = ways.pop_front() {
        for next in &imports[way.last()?] {
            let way = [way.as_slice(), &[(*next).clone()]].concat();
            if *next == start {
                return Some(way);
            }
            if reached.insert(*next) {
                ways.push_back(way);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_circles(files: &[(&str, &str)], expected: &[&str]) {
        let source = |(file, text): &(&str, &str)| Source {
            path: format!("crates/x/src/{file}").into(),
            text: (*text).into(),
        };
        let found: Vec<String> = check(&files.iter().map(source).collect::<Vec<_>>())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_circle_is_found_through_a_re_export() {
        let root = ("lib.rs", "mod a;\nmod b;\npub use b::{B, other};\n");
        let b = ("b/mod.rs", "mod c;\nuse std::{fmt, io};\nuse super::a::A;\n");
        let found = ["crates/x: imports in a circle: a -> b -> a"];
        check_circles(&[root, ("a.rs", "#[cfg(unix)]\npub(crate) use crate::B;\n"), b], &found);
        check_circles(&[root, ("a.rs", "// use crate::B;\nuse crate::C;\n"), b], &[]);
    }

    #[test]
    fn a_longer_circle_is_shown_once() {
        let files = [
            ("a.rs", "use crate::{\n    b::{self, B},\n};\n"),
            ("b.rs", "use super::c::d::D;\n"),
            ("c/d.rs", "use crate::a;\n"),
            ("c.rs", "mod d;\n"),
            ("main.rs", "mod a;\nmod b;\nmod c;\n"),
        ];
        check_circles(&files, &["crates/x: imports in a circle: a -> b -> c::d -> a"]);
    }

    #[test]
    fn parents_know_their_children_and_tests_know_everything() {
        let tests = "#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n";
        let files = [
            ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod fixtures;\n"),
            ("a.rs", &format!("mod c;\nuse c::C;\n{tests}")),
            ("a/c.rs", "use super::A;\n"),
            ("b.rs", "use crate::a::A;\n"),
            ("fixtures.rs", "use crate::b::B;\n"),
        ];
        check_circles(&files, &[]);
    }
}
