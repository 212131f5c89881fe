//! The recipes of the paper that this repository ships.

use std::path::Path;

use learngene_datasets::Augment;
use learngene_training::{EmaWarmup, Recipe};

fn recipe(name: &str) -> Recipe {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../recipes"));
    Recipe::read(&folder.join(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// What all have in common is the method's fine-tuning; they differ in how long they train.
fn check(name: &str, epochs: usize, warmup_epochs: f64) {
    let wanted = Recipe {
        epochs,
        batch_size: 1024,
        learning_rate: 5e-4,
        warmup_epochs: Some(warmup_epochs),
        warmup_learning_rate: 1e-6,
        min_learning_rate: 1e-5,
        weight_decay: 0.05,
        betas: (0.9, 0.999),
        label_smoothing: 0.1,
        drop_path: 0.1,
        ema_decay: 0.99996,
        ema_warmup: EmaWarmup::Ratio,
        augment: Augment::deit(),
        ..Recipe::default()
    };
    assert_eq!(recipe(name), wanted, "{name}");
    assert!((recipe(name).peak_learning_rate() - 1e-3).abs() < 1e-12, "{name}");
}

#[test]
fn recipes_are_those_of_the_paper() {
    check("descendant.toml", 50, 5.0);
    check("from_scratch_100.toml", 100, 5.0);
    check("from_scratch_300.toml", 300, 5.0);
    check("downstream.toml", 500, 10.0);
}
