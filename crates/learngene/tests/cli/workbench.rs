//! A folder to run the program in.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

/// The golden ViT of every workbench: 3 layers of 3 heads, patch 8 on 32 x 32 pixels, 7 classes.
pub const TINY: &str = "tiny.safetensors --num-heads 3";
/// The same as the ancestor of a learngene.
pub const ANCESTOR: &str = "--checkpoint tiny.safetensors --num-heads 3";

/// The same to compare a learngene with.
pub const AGAINST: &str = "--against tiny.safetensors --num-heads 3";

/// Longer than any command of these tests takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A file or folder of `tests/golden`.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// A folder of one test, gone when the test ends. Every name below is relative to it.
pub struct Workbench {
    folder: TempDir,
}

impl Workbench {
    /// A folder with the golden ViT as `tiny.safetensors`.
    pub fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().expect("temporary folders can be made") };
        this.lay("tiny.safetensors", &golden("vit_tiny_golden/timm.safetensors"));
        this
    }

    /// A folder with `tiny.learngene` too, which keeps some heads of the golden ViT.
    pub fn with_learngene() -> Self {
        let this = Self::new();
        this.photos("photos", 6);
        this.succeed(&format!("condense {TINY} --images photos --eps 0.2 --out tiny.learngene"));
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders it lies in.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        let parent = path.parent().expect("it lies in the workbench");
        fs::create_dir_all(parent).expect("the workbench is writable");
        fs::write(path, bytes).expect("the workbench is writable");
    }

    /// Copies a file to here.
    pub fn lay(&self, name: &str, from: &Path) {
        self.write(name, fs::read(from).expect("the fixture is there"));
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Every file with its contents, and every empty folder.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut files, mut folders) = (BTreeMap::new(), vec![self.folder.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            let mut entries = fs::read_dir(&folder).expect("it is a folder").peekable();
            if entries.peek().is_none() {
                files.insert(folder, Vec::new());
            }
            for entry in entries {
                let path = entry.expect("it can be listed").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs::read(path).expect("it was just listed"));
                }
            }
        }
        files
    }

    /// Writes PNGs `{folder}/{index}.png`, all different.
    pub fn photos(&self, folder: &str, count: u32) {
        for index in 0..count {
            self.write(&format!("{folder}/{index}.png"), png(&photo(index)));
        }
    }

    /// Writes `{folder}/{train,test}/{cat,dog}/{index}.png`, with `count` images a class and split.
    pub fn labelled_photos(&self, folder: &str, count: u32) {
        for (group, class) in ["train/cat", "train/dog", "test/cat", "test/dog"].iter().enumerate()
        {
            for index in 0..count {
                let picture = photo(group as u32 * count + index);
                self.write(&format!("{folder}/{class}/{index}.png"), png(&picture));
            }
        }
    }

    /// The program, to be run here with arguments that are separated by spaces.
    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_learngene"));
        command.current_dir(self.folder.path()).args(args.split_whitespace()).timeout(PATIENCE);
        // Neither what the user keeps in the cache nor how logs are shown changes a result.
        command.env("LEARNGENE_DATA", self.path("cache")).env_remove("RUST_LOG");
        command
    }

    /// Runs the program, which has to succeed, and returns what it prints.
    pub fn succeed(&self, args: &str) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "learngene {args}\n{}: {stderr}", output.status);
        String::from_utf8(output.stdout).expect("the program prints text")
    }

    /// Runs the program, which has to succeed, and returns the JSON that it prints.
    pub fn succeed_json(&self, args: &str) -> Value {
        let text = self.succeed(args);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// Runs the program, which has to fail: with exit code 2, with a message that has all the
    /// parts, without a panic, without a word on standard output, and without a trace in the folder, not
    /// even an empty one.
    pub fn check(&self, args: &str, parts: &[&str]) {
        let before = self.files();
        let output = self.run(args);
        check_message(args, &output, parts);
        let (before, after) = (before, self.files());
        let changed: Vec<&PathBuf> =
            after.keys().filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty(), "learngene {args}\nleft or changed {changed:?}");
        assert_eq!(before.len(), after.len(), "learngene {args}\nremoved a file");
    }

    fn run(&self, args: &str) -> Output {
        self.command(args).output().expect("the program was built and can be started")
    }
}

/// What every failure of the program has in common.
pub fn check_message(args: &str, output: &Output, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = format!("learngene {args}\n{}: {stderr}", output.status);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in parts {
        assert!(stderr.contains(part), "{said}\nlacks `{part}`");
    }
    for panic in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!stderr.contains(panic), "{said}");
    }
    assert!(stderr.lines().any(|line| line.starts_with("error: ")), "{said}");
    assert!(output.stdout.is_empty(), "{said}\nprinted {:?}", output.stdout);
}

/// A picture of coloured squares, 40 x 36 pixels, another one for every seed.
fn photo(seed: u32) -> RgbImage {
    RgbImage::from_fn(40, 36, |x, y| {
        let square = (seed * 97 + x / 4) * 89 + y / 4 + 1;
        // Knuth's multiplicative hash: its high bytes are well mixed.
        let [_, red, green, blue] = square.wrapping_mul(2_654_435_761).to_le_bytes();
        Rgb([red, green, blue])
    })
}

/// The picture as the bytes of a PNG file.
pub fn png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("memory can be written to");
    bytes.into_inner()
}
