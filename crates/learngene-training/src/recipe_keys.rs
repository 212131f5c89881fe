//! The keys of a recipe file, for people.

use toml::{Table, Value};

use crate::Recipe;

/// Every key and what it means, in the order of [`Recipe`]; those of a table behind its name.
const KEYS: [(&str, &str); 36] = [
    ("epochs", "passes over the training images"),
    ("batch_size", "images of one optimiser step, on all devices together"),
    ("learning_rate", "peak for a batch of 512, scaled by batch_size / 512"),
    ("warmup_epochs", "epochs of linear warm-up; by default 5, at most a tenth of the epochs"),
    ("warmup_learning_rate", "where the warm-up starts"),
    ("min_learning_rate", "where the cosine ends"),
    ("cosine_after_warmup", "false: it runs beneath the warm-up, as in DeiT"),
    ("weight_decay", "of AdamW; not for biases, norms, positions and class token"),
    ("betas", "decay of AdamW's two moments"),
    ("layer_decay", "rate of each layer, as a share of the rate of the next"),
    ("clip_norm", "most that the norm over all gradients may be; 0 for no limit"),
    ("label_smoothing", "share of the target spread over all classes"),
    ("drop_path", "share of residual branches left out in the last layer"),
    ("ema_decay", "share of the average of parameters that a step keeps; 0 for none"),
    ("ema_warmup", "how that share rises: \"ratio\", \"power\" or \"none\""),
    ("images_per_pass", "the most that a device takes at once; 0 for what fits its memory"),
    ("precision", "of forward and backward passes: \"f32\", or \"bf16\" where the device has it"),
    ("gradient_checkpointing", "less memory, up to a third more time"),
    ("evaluations_per_epoch", "evenly spaced, the last at the epoch's end"),
    ("checkpoint_steps", "steps between checkpoints within an epoch; 0 for none"),
    ("seed", "of the order of images, their augmentation and initial weights"),
    ("augment.flip", "mirror every second image"),
    ("augment.crop_padding", "zero pixels on every side before a random crop"),
    ("augment.color_jitter", "most change of brightness, contrast and saturation"),
    ("augment.force_color_jitter", "beside rand_augment too"),
    ("augment.mixup", "alpha of mixup; 0 for none"),
    ("augment.cutmix", "alpha of cutmix; 0 for none"),
    ("augment.mix_probability", "chance that a batch is mixed"),
    ("augment.cutmix_probability", "chance that it is cutmix, where both are on"),
    ("augment.repeats", "views of an image in an epoch, which sees fewer images"),
    ("augment.rand_augment", "random operations, as timm writes them"),
    ("augment.resized_crop.scale", "area of a random part that becomes the image"),
    ("augment.resized_crop.ratio", "its width divided by its height"),
    ("augment.random_erasing.probability", "chance of noise over a part of the image"),
    ("augment.random_erasing.area", "its area, as a share of the image's"),
    ("augment.random_erasing.aspect", "least of its height divided by its width, or the reverse"),
];

/// Every key of a recipe file with its default and its meaning, as a file that may be cut down. What
/// is off by default, or follows from another key, stands behind a `#`, with the value of DeiT's recipe.
pub fn recipe_help() -> String {
    let on = Table::try_from(Recipe::default()).expect("a recipe is a table of numbers and flags");
    let all = Recipe::with_every_key().table();
    let mut text = String::new();
    let mut section = "";
    for (path, meaning) in KEYS {
        let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
        let (value, mark) = match value(&on, path) {
            Some(value) => (value, ""),
            None => (value(&all, path).expect("a recipe with every key has it"), "# "),
        };
        if table != section {
            section = table;
            text += &format!("\n{mark}[{table}]\n");
        }
        text += &format!("{:42} # {meaning}\n", format!("{mark}{key} = {value}"));
    }
    text
}

fn value<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((first, rest)) => value(table.get(first)?.as_table()?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths of all keys of a table.
    fn paths(table: &Table, before: &str) -> Vec<String> {
        let paths = table.iter().map(|(key, value)| {
            let path = format!("{before}{key}");
            value.as_table().map_or_else(|| vec![path.clone()], |of| paths(of, &format!("{path}.")))
        });
        paths.collect::<Vec<_>>().concat()
    }

    #[test]
    fn every_key_is_explained() {
        let mut explained = KEYS.map(|(path, _)| path.to_owned());
        explained.sort();
        let mut all = paths(&Recipe::with_every_key().table(), "");
        all.sort();
        assert_eq!(explained.to_vec(), all);
    }

    #[test]
    fn the_help_is_a_recipe_file_of_the_defaults() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("recipe.toml");
        std::fs::write(&path, recipe_help()).expect("the folder is writable");
        assert_eq!(Recipe::read(&path).expect("it is a recipe"), Recipe::default());
    }

    /// What the program works out is not told as if it were a number of its own.
    #[test]
    fn what_follows_is_left_open() {
        let help = recipe_help();
        let begins = |start: &str| help.lines().any(|line| line.starts_with(start));
        assert!(begins("images_per_pass = 0 ") && begins("# warmup_epochs = 5.0 "), "{help}");
    }
}
