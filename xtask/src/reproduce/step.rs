//! One command of the program: what it reads, what it makes, and the key by which its result is
//! known.

use std::{path::Path, rc::Rc};

use sha2::{Digest, Sha256};

use crate::learngene::Line;

/// Digits of a key that name files.
const SHORT: usize = 16;

/// What a training run leaves in its folder, as it is after the last step.
pub(crate) const LAST: &str = "last.safetensors";

/// A part of a command.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// As it stands.
    Text(String),
    /// A file that is there before anything is run; its bytes count, its name does not.
    File { path: String, sha256: String },
    /// Images by the name of their dataset; `version` tells what that name stands for.
    Dataset { name: String, version: String },
    /// What another step makes.
    Made(Rc<Step>),
    /// The last checkpoint of a training run.
    Trained(Rc<Step>),
    /// Where this step writes.
    Out,
}

/// What a step leaves on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Makes {
    /// Nothing: what it prints is its result.
    Nothing,
    /// A file of this extension that later steps read and that is kept.
    File(&'static str),
    /// A checkpoint, removed when no step needs it any more.
    Checkpoint,
    /// The folder of a training run.
    RunFolder,
}

/// A command of the program that prints JSON.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) words: Vec<Word>,
    pub(crate) makes: Makes,
    /// Seconds that it takes on two idle cores, roughly.
    pub(crate) seconds: f64,
}

impl Step {
    /// A step that begins with the name of a command.
    pub(crate) fn new(command: &str, makes: Makes) -> Self {
        Self { words: vec![Word::Text(command.into())], makes, seconds: 1.0 }
    }

    pub(crate) fn word(mut self, word: Word) -> Self {
        self.words.push(word);
        self
    }

    pub(crate) fn text(self, text: impl ToString) -> Self {
        self.word(Word::Text(text.to_string()))
    }

    pub(crate) fn flag(self, name: &str, word: Word) -> Self {
        self.text(format!("--{name}")).word(word)
    }

    pub(crate) fn words(mut self, words: impl IntoIterator<Item = Word>) -> Self {
        self.words.extend(words);
        self
    }

    pub(crate) fn taking(self, seconds: f64) -> Self {
        Self { seconds, ..self }
    }

    /// SHA-256 over the command, the bytes of its inputs and `code`, that of the sources. What other
    /// steps make counts by their keys.
    pub(crate) fn key(&self, code: &str) -> String {
        let mut hash = Sha256::new();
        // Lengths keep words apart.
        let mut add = |kind: &str, text: &str| {
            hash.update(format!("{kind} {} {text}\n", text.len()));
        };
        add("code", code);
        for word in &self.words {
            match word {
                Word::Text(text) => add("text", text),
                Word::File { sha256, .. } => add("file", sha256),
                Word::Dataset { name, version } => {
                    add("dataset", name);
                    add("version", version);
                }
                Word::Made(step) | Word::Trained(step) => add("made", &step.key(code)),
                Word::Out => add("out", ""),
            }
        }
        hex(&hash.finalize())
    }

    /// The steps whose artefacts it reads.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Rc<Step>> {
        self.words.iter().filter_map(|word| match word {
            Word::Made(step) | Word::Trained(step) => Some(step),
            _ => None,
        })
    }

    /// The command, artefacts being in `folder`.
    pub(crate) fn line(&self, code: &str, folder: &Path) -> Line {
        let mut line = Line::default();
        for word in &self.words {
            line = match word {
                Word::Text(text) | Word::File { path: text, .. } => line.arg(text),
                Word::Dataset { name, .. } => line.arg(name),
                Word::Made(step) => line.arg(folder.join(step.file_name(code)).display()),
                Word::Trained(step) => {
                    line.arg(folder.join(step.file_name(code)).join(LAST).display())
                }
                Word::Out => line.arg(folder.join(self.file_name(code)).display()),
            };
        }
        line
    }

    /// What its artefact is called.
    pub(crate) fn file_name(&self, code: &str) -> String {
        let key = self.key(code);
        let short = short(&key);
        match self.makes {
            Makes::File(extension) => format!("{short}.{extension}"),
            Makes::Checkpoint => format!("{short}.safetensors"),
            Makes::Nothing | Makes::RunFolder => short.to_owned(),
        }
    }

    /// The commands that lead to its result, in the order in which they run, each once.
    pub(crate) fn history(&self, code: &str, folder: &Path) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let own = self.line(code, folder).to_string();
        for line in self.inputs().flat_map(|input| input.history(code, folder)).chain([own]) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}

/// The digits of a key that name files.
pub(crate) fn short(key: &str) -> &str {
    &key[..SHORT]
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condense(checkpoint: &str, bytes: &str, eps: &str) -> Rc<Step> {
        let checkpoint = Word::File { path: checkpoint.into(), sha256: bytes.into() };
        let step = Step::new("condense", Makes::File("learngene")).word(checkpoint);
        Rc::new(step.flag("eps", Word::Text(eps.into())).flag("out", Word::Out))
    }

    fn expand(gene: Rc<Step>, seed: u64) -> Step {
        let step = Step::new("expand", Makes::Checkpoint).word(Word::Made(gene));
        step.flag("seed", Word::Text(seed.to_string())).flag("out", Word::Out)
    }

    /// Whether the second descendant is another one than the first.
    fn check(other: &Step, code: &str, differs: bool) {
        let first = expand(condense("a.pth", "00", "0.3"), 0).key("code");
        assert_eq!(first != other.key(code), differs, "{other:?}");
    }

    #[test]
    fn a_key_is_of_all_that_the_result_depends_on() {
        check(&expand(condense("a.pth", "00", "0.3"), 0), "code", false);
        check(&expand(condense("elsewhere/b.pth", "00", "0.3"), 0), "code", false);
        check(&expand(condense("a.pth", "01", "0.3"), 0), "code", true);
        check(&expand(condense("a.pth", "00", "0.4"), 0), "code", true);
        check(&expand(condense("a.pth", "00", "0.3"), 1), "code", true);
        check(&expand(condense("a.pth", "00", "0.3"), 0), "other code", true);
    }

    #[test]
    fn words_that_join_to_the_same_text_differ() {
        let step = |words: [&str; 2]| Step::new(words[0], Makes::Nothing).text(words[1]).key("");
        assert_ne!(step(["a", "b c"]), step(["a b", "c"]));
    }

    #[test]
    fn what_images_a_name_stands_for_counts() {
        let of = |version: &str| {
            let images = Word::Dataset { name: "cifar10".into(), version: version.into() };
            Step::new("eval", Makes::Nothing).flag("data", images).key("")
        };
        assert_ne!(of("1"), of("2"));
    }

    #[test]
    fn the_commands_of_a_result_are_told_in_order_and_by_their_artefacts() {
        let gene = condense("a.pth", "00", "0.3");
        let step = expand(gene.clone(), 0);
        let (gene, own) = (gene.key(""), step.key(""));
        let expected = [
            format!("learngene condense a.pth --eps 0.3 --out runs/{}.learngene", short(&gene)),
            format!(
                "learngene expand runs/{}.learngene --seed 0 --out runs/{}.safetensors",
                short(&gene),
                short(&own)
            ),
        ];
        assert_eq!(step.history("", Path::new("runs")), expected);
    }

    #[test]
    fn a_step_that_two_others_need_is_told_once() {
        let gene = condense("a.pth", "00", "0.3");
        let both = expand(gene.clone(), 0).word(Word::Made(gene));
        assert_eq!(both.history("", Path::new("runs")).len(), 2);
    }
}
