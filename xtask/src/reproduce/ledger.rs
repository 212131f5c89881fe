//! The ledger: what was run, by its key. What is in it is not run again.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use learngene_tensors::write_whole;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::step::{LAST, Makes, Step, short};
use crate::learngene::Line;

/// Version of a record's fields.
const VERSION: u32 = 1;

/// Where records are, and where artefacts: `expand` leaves a `.json` beside its checkpoint.
const RUNS: &str = "runs";
const MADE: &str = "made";

/// There is no result yet, and nothing may be run.
#[derive(Debug)]
pub(crate) struct Missing;

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not in the ledger")
    }
}

impl std::error::Error for Missing {}

/// What one step came to, as a file of the ledger.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    key: String,
    /// SHA-256 of the sources of the program that ran.
    code: String,
    /// This step's command and those before it.
    commands: Vec<String>,
    printed: Value,
}

/// What runs a command and reads the JSON that it prints.
type Program<'a> = dyn Fn(&Line) -> Result<Value> + 'a;

/// Runs steps, and keeps what they print and leave.
pub(crate) struct Ledger<'a> {
    program: Box<Program<'a>>,
    root: PathBuf,
    /// Relative to the root, so that commands can be typed as they are shown.
    folder: PathBuf,
    code: String,
    may_run: Cell<bool>,
    /// Errors of steps that failed, by key: they are not tried twice.
    failed: RefCell<BTreeMap<String, String>>,
}

impl<'a> Ledger<'a> {
    /// Opens a folder; `anew` forgets what is in it.
    pub(crate) fn open(
        root: &Path,
        folder: PathBuf,
        code: String,
        anew: bool,
        program: impl Fn(&Line) -> Result<Value> + 'a,
    ) -> Result<Self> {
        let whole = root.join(&folder);
        if anew && whole.exists() {
            fs::remove_dir_all(&whole)
                .with_context(|| format!("cannot clear {}", whole.display()))?;
        }
        for part in [RUNS, MADE] {
            let part = whole.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
        }
        Ok(Self {
            program: Box::new(program),
            root: root.to_owned(),
            folder,
            code,
            may_run: Cell::new(false),
            failed: RefCell::default(),
        })
    }

    /// SHA-256 of the sources of the program that runs.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Whether steps that are missing may be run from now on.
    pub(crate) fn allow(&self, may_run: bool) {
        self.may_run.set(may_run);
    }

    /// The key of a step.
    pub(crate) fn key(&self, step: &Step) -> String {
        step.key(&self.code)
    }

    /// The commands that lead to a step's result.
    pub(crate) fn commands(&self, step: &Step) -> Vec<String> {
        step.history(&self.code, &self.folder.join(MADE))
    }

    /// Where it is, relative to the root.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a step's result is there.
    pub(crate) fn has(&self, step: &Step) -> bool {
        matches!(self.read(step), Ok(Some(_)))
    }

    /// What a step prints: from the ledger, or by running it and what it needs.
    ///
    /// # Errors
    /// When the step or one that it needs fails, or is missing and may not be run.
    pub(crate) fn result(&self, step: &Step) -> Result<Value> {
        match self.read(step)? {
            Some(printed) => Ok(printed),
            None => self.run(step),
        }
    }

    /// The file or folder that a step makes, made again where it, or the checkpoint in it, was
    /// removed.
    ///
    /// # Errors
    /// As [`Self::result`].
    pub(crate) fn file(&self, step: &Step) -> Result<PathBuf> {
        self.result(step)?;
        let path = self.artefact(step);
        let wanted = match step.makes {
            Makes::RunFolder => path.join(LAST),
            _ => path.clone(),
        };
        if !wanted.exists() {
            if path.is_dir() {
                // A run that ended would go on where it is, at its end.
                fs::remove_dir_all(&path)
                    .with_context(|| format!("cannot clear {}", path.display()))?;
            }
            self.run(step)?;
        }
        Ok(path)
    }

    /// Removes the checkpoints that lead to a step's result: whoever wants them again runs its
    /// commands.
    pub(crate) fn tidy(&self, step: &Step) {
        let mut files = Vec::new();
        match step.makes {
            Makes::Checkpoint => files.push(self.artefact(step)),
            Makes::RunFolder => {
                let folder = self.artefact(step);
                // Also those of the average, and of a warm-up.
                for folder in [folder.join("warm_up"), folder] {
                    files.extend(checkpoints(&folder));
                }
            }
            Makes::Nothing | Makes::File(_) => {}
        }
        // One that is gone already was removed for another result.
        files.iter().for_each(|file| drop(fs::remove_file(file)));
        step.inputs().for_each(|input| self.tidy(input));
    }

    fn run(&self, step: &Step) -> Result<Value> {
        let key = self.key(step);
        if let Some(error) = self.failed.borrow().get(&key) {
            bail!(error.clone());
        }
        if !self.may_run.get() {
            // A step that it needs may have failed.
            for input in step.inputs() {
                self.result(input)?;
            }
            bail!(Missing);
        }
        for input in step.inputs() {
            self.file(input)?;
        }
        let line = step.line(&self.code, &self.folder.join(MADE)).arg("--json");
        let printed = (self.program)(&line).inspect_err(|error| {
            self.failed.borrow_mut().insert(key.clone(), format!("{error:#}"));
        })?;
        let commands = self.commands(step);
        let record = Record { version: VERSION, key, code: self.code.clone(), commands, printed };
        let text = serde_json::to_string_pretty(&record).context("a record is plain data")?;
        let path = self.record(step);
        write_whole(&path, [text + "\n"])
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(record.printed)
    }

    /// What the ledger has of a step. A file of another version is as good as none; one that is no
    /// record was not written by us.
    fn read(&self, step: &Step) -> Result<Option<Value>> {
        let path = self.record(step);
        if !path.exists() {
            return Ok(None);
        }
        let record = record(&path)?;
        let is_ours = record.version == VERSION && record.key == self.key(step);
        Ok(is_ours.then_some(record.printed))
    }

    /// All records of the program's present sources, in the order of their keys, a line of JSON each.
    ///
    /// # Errors
    /// When one cannot be read or is none.
    pub(crate) fn records(&self) -> Result<String> {
        let folder = self.root.join(&self.folder).join(RUNS);
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut lines = BTreeMap::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            let record = record(&path)?;
            if record.version == VERSION && record.code == self.code {
                let line = serde_json::to_string(&record).context("a record is plain data")?;
                lines.insert(record.key, line + "\n");
            }
        }
        Ok(lines.into_values().collect())
    }

    fn record(&self, step: &Step) -> PathBuf {
        let name = format!("{}.json", short(&self.key(step)));
        self.root.join(&self.folder).join(RUNS).join(name)
    }

    fn artefact(&self, step: &Step) -> PathBuf {
        self.root.join(&self.folder).join(MADE).join(step.file_name(&self.code))
    }
}

fn record(path: &Path) -> Result<Record> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no record of a run", path.display()))
}

/// Files of weights in a folder; none where there is no folder.
fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    files.filter(|file| file.extension().is_some_and(|end| end == "safetensors")).collect()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::reproduce::step::Word;

    /// A ledger over a program that counts, makes the file after `--out`, and fails where it is told
    /// to.
    fn open<'a>(root: &Path, count: &'a Cell<u64>) -> Ledger<'a> {
        let folder = root.to_owned();
        let program = move |line: &Line| {
            count.set(count.get() + 1);
            let text = line.to_string();
            if text.contains("impossible") {
                bail!("it cannot be");
            }
            let mut words = text.split(' ').skip_while(|word| *word != "--out");
            if let Some(out) = words.nth(1) {
                fs::write(folder.join(out), "")?;
            }
            Ok(Value::from(count.get()))
        };
        let ledger = Ledger::open(root, "ledger".into(), "code".into(), false, program);
        let ledger = ledger.expect("a folder");
        ledger.allow(true);
        ledger
    }

    fn gene() -> Rc<Step> {
        let step = Step::new("condense", Makes::File("learngene"));
        Rc::new(step.flag("out", Word::Out))
    }

    fn expand(flag: &str) -> Step {
        let step = Step::new("expand", Makes::Checkpoint).word(Word::Made(gene()));
        step.text(flag).flag("out", Word::Out)
    }

    fn eval(flag: &str) -> Step {
        Step::new("eval", Makes::Nothing).word(Word::Made(Rc::new(expand(flag))))
    }

    #[test]
    fn what_is_in_the_ledger_is_not_run_again() {
        let (root, count) = (tempfile::tempdir().expect("a folder"), Cell::new(0));
        let first = open(root.path(), &count).result(&eval("one")).expect("it runs");
        assert_eq!(count.get(), 3, "gene, descendant, evaluation");
        let again = open(root.path(), &count).result(&eval("one")).expect("it is there");
        assert_eq!((first, count.get()), (again, 3));
    }

    #[test]
    fn shared_steps_are_run_once() {
        let (root, count) = (tempfile::tempdir().expect("a folder"), Cell::new(0));
        let ledger = open(root.path(), &count);
        ledger.result(&eval("one")).expect("it runs");
        ledger.result(&eval("two")).expect("it runs");
        assert_eq!(count.get(), 5, "one gene, two descendants, two evaluations");
    }

    #[test]
    fn checkpoints_are_removed_and_come_back() {
        let (root, count) = (tempfile::tempdir().expect("a folder"), Cell::new(0));
        let ledger = open(root.path(), &count);
        let path = ledger.file(&expand("one")).expect("it runs");
        ledger.tidy(&eval("one"));
        assert!(!path.exists());
        assert!(ledger.file(&gene()).expect("it is there").exists(), "a learngene is kept");
        assert_eq!(count.get(), 2);
        assert!(ledger.file(&expand("one")).expect("it runs").exists());
        assert_eq!(count.get(), 3);
    }

    #[test]
    fn a_folder_has_the_checkpoints_of_its_model_and_its_average() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["last.safetensors", "last_ema.safetensors", "metrics.jsonl"] {
            fs::write(root.path().join(name), "").expect("a file");
        }
        let mut found = checkpoints(root.path());
        found.sort();
        let want = ["last.safetensors", "last_ema.safetensors"].map(|name| root.path().join(name));
        assert_eq!(found, want);
        assert_eq!(checkpoints(&root.path().join("warm_up")), [] as [PathBuf; 0]);
    }

    #[test]
    fn nothing_is_run_before_it_may_be() {
        let (root, count) = (tempfile::tempdir().expect("a folder"), Cell::new(0));
        let ledger = open(root.path(), &count);
        ledger.allow(false);
        assert!(ledger.result(&eval("one")).expect_err("missing").is::<Missing>());
        assert!(!ledger.has(&eval("one")));
        assert_eq!(count.get(), 0);
    }

    #[test]
    fn a_failure_is_told_each_time_and_tried_once() {
        let (root, count) = (tempfile::tempdir().expect("a folder"), Cell::new(0));
        let ledger = open(root.path(), &count);
        for _ in 0..2 {
            let error = ledger.result(&eval("impossible")).expect_err("it fails");
            assert_eq!(error.to_string(), "it cannot be");
        }
        assert_eq!(count.get(), 2, "gene and descendant");
        ledger.result(&eval("one")).expect("others run");
    }

    #[test]
    fn a_record_that_is_none_is_an_error() {
        let (root, count) = (tempfile::tempdir().expect("a folder"), Cell::new(0));
        let ledger = open(root.path(), &count);
        ledger.result(&gene()).expect("it runs");
        fs::write(ledger.record(&gene()), "{").expect("a file");
        let error = ledger.result(&gene()).expect_err("half a record");
        assert!(error.to_string().ends_with("is no record of a run"), "{error}");
    }

    #[test]
    fn records_are_those_of_the_present_sources() {
        let (root, count) = (tempfile::tempdir().expect("a folder"), Cell::new(0));
        let ledger = open(root.path(), &count);
        ledger.result(&expand("one")).expect("it runs");
        let records = ledger.records().expect("it is readable");
        assert_eq!(records.lines().count(), 2, "gene and descendant");
        let other = Ledger { code: "other".into(), ..open(root.path(), &count) };
        assert_eq!(other.records().expect("it is readable"), "");
    }

    #[test]
    fn a_record_of_another_key_does_not_count() {
        let (root, count) = (tempfile::tempdir().expect("a folder"), Cell::new(0));
        let ledger = open(root.path(), &count);
        ledger.result(&gene()).expect("it runs");
        let text = fs::read_to_string(ledger.record(&gene())).expect("a file");
        let other = text.replace(&ledger.key(&gene()), "another key");
        fs::write(ledger.record(&gene()), other).expect("a file");
        assert!(!ledger.has(&gene()));
    }
}
