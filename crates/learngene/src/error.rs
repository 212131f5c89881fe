//! Hints that are printed behind an error.

use std::path::Path;

use learngene_training::TrainingError;

/// What the user can do about an error. Commands that read many images can skip those that cannot be
/// decoded.
pub fn hint(error: &anyhow::Error, takes_bad_images: bool) -> String {
    let is_image = error.chain().any(|cause| cause.is::<image::ImageError>());
    if is_image && takes_bad_images {
        return "; --bad-images skip leaves such images out".into();
    }
    match error.downcast_ref() {
        Some(TrainingError::OtherRun { path, key, .. }) => other_run(path, key),
        _ => String::new(),
    }
}

/// Which flags of `train` are others than those that a run in the folder began with.
fn other_run(path: &Path, key: &str) -> String {
    let is_recipe = path.file_name().is_some_and(|name| name == "recipe.toml");
    let is_warm_up = path.parent().is_some_and(|folder| folder.ends_with("warm_up"));
    let is_label_free = path.parent().is_some_and(|folder| folder.ends_with("label_free"));
    let flags = match key {
        "" => return String::new(),
        "epochs" if is_label_free => "--label-free",
        "epochs" if is_warm_up => "--transform-epochs",
        "warmup_epochs" if is_warm_up => "--warmup-epochs or --epochs",
        "epochs"
        | "batch_size"
        | "warmup_epochs"
        | "precision"
        | "micro_batch_size"
        | "seed"
        | "gradient_checkpointing"
            if is_recipe =>
        {
            &format!("--{}", key.replace('_', "-"))
        }
        "learning_rate" if is_recipe => "--lr",
        "label_weight" | "teacher_weight" | "teacher_sha256" => "--teacher or --teacher-weight",
        key if is_recipe => &format!("{key} in --recipe"),
        "model_sha256" => "MODEL or --config",
        "train_images" | "test_images" | "names_sha256" => "--data, --fraction or --hold-out",
        "classes" => "--data",
        "share" | "seed" | "train_fraction" => "--fraction",
        "image_size" | "crop_pct" | "mean" | "std" => &format!("--{}", key.replace('_', "-")),
        _ => return String::new(),
    };
    let last = path.with_file_name("last.safetensors");
    match key {
        "epochs" if last.exists() => format!(
            ". {flags} is another than the run there began with: to train its model further, begin a \
             new run of {}",
            last.display()
        ),
        _ => format!(". The run there began with another {flags}"),
    }
}
