//! The keys of a recipe file, explained.

use toml::{Table, Value};

use super::Recipe;

/// Every key and its meaning, in the order of [`Recipe`]; keys of a table follow its name.
const KEYS: [(&str, &str); 38] = [
    ("epochs", "passes over the training images"),
    ("batch_size", "images of one optimiser step, on all devices together"),
    ("learning_rate", "peak for a batch of 512, scaled by batch_size / 512"),
    ("warmup_epochs", "epochs of linear warm-up; default 5, at most a tenth of the epochs"),
    ("warmup_learning_rate", "learning rate at the start of the warm-up"),
    ("min_learning_rate", "learning rate at the end of the cosine"),
    ("cosine_after_warmup", "false: it starts at the first step, as in DeiT"),
    ("weight_decay", "of AdamW; not for biases, norms, positions and class token"),
    ("betas", "decay of AdamW's two moments"),
    ("layer_decay", "learning rate of each layer divided by that of the next"),
    ("clip_norm", "maximum global gradient norm; 0 disables clipping"),
    ("label_smoothing", "part of the target spread evenly over all classes"),
    ("label_weight", "factor of the loss by labels where there is a teacher"),
    ("teacher_weight", "factor of the loss by a teacher, where there is one"),
    ("drop_path", "stochastic-depth rate of the last layer; rates grow linearly from 0"),
    ("ema_decay", "decay of the averaged parameters; 0 disables averaging"),
    ("ema_warmup", "how that decay grows: \"ratio\", \"power\" or \"none\""),
    ("micro_batch_size", "images that a device takes at once; 0 for what fits its memory"),
    ("precision", "of forward and backward passes: \"f32\", or \"bf16\" if the device supports it"),
    ("gradient_checkpointing", "less memory, up to a third more time"),
    ("evaluations_per_epoch", "evenly spaced, the last at the end of the epoch"),
    ("checkpoint_steps", "steps between states to resume from; 0 for one an epoch"),
    ("seed", "of the order of images, augmentation, stochastic depth and initial weights"),
    ("augment.flip", "mirror images with probability 0.5"),
    ("augment.crop_padding", "zero pixels on every side before a random crop"),
    ("augment.color_jitter", "largest change of brightness, contrast and saturation"),
    ("augment.force_color_jitter", "also with rand_augment"),
    ("augment.mixup", "alpha of mixup; 0 for none"),
    ("augment.cutmix", "alpha of cutmix; 0 for none"),
    ("augment.mix_probability", "probability that a batch is mixed"),
    ("augment.cutmix_probability", "probability of cutmix, if both are on"),
    ("augment.repeats", "views of an image in an epoch, which sees fewer images"),
    ("augment.rand_augment", "random operations, in timm's notation"),
    ("augment.resized_crop.scale", "area of a random part that becomes the image"),
    ("augment.resized_crop.ratio", "its width divided by its height"),
    ("augment.random_erasing.probability", "probability of noise over a part of the image"),
    ("augment.random_erasing.area", "its area divided by the image's"),
    ("augment.random_erasing.aspect", "smallest ratio of its height and width, or the reverse"),
];

/// Every key of a recipe file with its default and its meaning, as a file to edit. What is off by
/// default, or follows from another key, is commented out, with the value of DeiT's recipe.
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
}
