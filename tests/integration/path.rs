//! The whole path in libraries: from fresh weights to a trained descendant's checkpoint.

use std::{fs, num::NonZeroUsize, path::Path, sync::Arc};

use burn::tensor::Device;
use learngene_checkpoints::{Dialect, ReadOptions, read, write};
use learngene_datasets::Split;
use learngene_expansion::{
    Descendant, DescendantConfig, HeadPolicy, LayerPolicy, expand, from_scratch,
};
use learngene_format::Learngene;
use learngene_models::Classifier;
use learngene_shape::Shape;
use learngene_tensors::Dtype;
use learngene_training::{Execution, FitData, Recipe, evaluate, fit};

use crate::support::{
    NOTHING_JOINED, VIT_PRUNED, checkpoint_in, clusters, condensed, folder, images, load, logits,
    measure, preprocess, sample, tiny,
};

/// Files of a walk that anything later is made of.
const ARTEFACTS: [&str; 6] = [
    "ancestor.safetensors",
    "distances.json",
    "clusters.json",
    "tiny.learngene",
    "run/metrics.jsonl",
    "run/last.safetensors",
];

#[test]
fn the_whole_path_is_walked_twice_to_the_same_bytes() {
    let walks = [folder(), folder()].map(|folder| {
        walk(folder.path());
        ARTEFACTS.map(|name| fs::read(folder.path().join(name)).expect("the walk leaves it"))
    });
    for (name, (first, second)) in ARTEFACTS.iter().zip(walks[0].iter().zip(&walks[1])) {
        assert!(!first.is_empty(), "{name} is empty");
        assert!(first == second, "{name} differs between two walks");
    }
}

/// Walks the path in a folder and checks each step against the one before.
fn walk(folder: &Path) {
    let shape = tiny();
    let parameters = from_scratch(&shape, 0);
    let ancestor = checkpoint_in(folder, &shape, &parameters);
    assert_eq!((&ancestor.shape, &ancestor.parameters), (&shape, &parameters));

    let distances = measure(&ancestor, 32, 16);
    distances.write(folder.join("distances.json")).expect("a temporary folder is writable");
    // Fresh heads attend almost evenly, so they differ little.
    let eps = 0.3 * spread(&distances.mean_attention_distance[0]);
    clusters(&distances, eps).write(folder.join("clusters.json")).expect("as above");

    let file = folder.join("tiny.learngene");
    let written = condensed(&ancestor, &distances, eps);
    written.write(&file).expect("as above");
    let learngene = Learngene::read(&file).expect("it was just written");
    assert_eq!(learngene, written);
    assert_eq!(learngene.manifest().ancestor.sha256, ancestor.sha256);

    let config = DescendantConfig {
        depth: 4.into(),
        layers: LayerPolicy::Even,
        heads: HeadPolicy::List(vec![5, 6, 2, 7]),
        ..Default::default()
    };
    let descendant = expand(&learngene, &config).expect("a possible descendant");
    train_and_evaluate(&descendant, folder);
}

/// Largest less smallest.
fn spread(densities: &[f64]) -> f64 {
    let (least, most) = densities
        .iter()
        .fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), d| (least.min(*d), most.max(*d)));
    most - least
}

fn train_and_evaluate(descendant: &Descendant, folder: &Path) {
    let device = Device::flex();
    let vit = load(&descendant.shape, &descendant.parameters, &device);
    let data = FitData {
        train: sample(Split::Train, 64),
        test: sample(Split::Test, 50),
        preprocess: preprocess(descendant.shape.image().size),
        teacher: None,
    };
    let recipe = Recipe {
        epochs: 1,
        batch_size: 16,
        learning_rate: 0.02,
        warmup_epochs: Some(0.25),
        evaluations_per_epoch: 2,
        ..Recipe::default()
    };
    let run = folder.join("run");
    let fitted =
        fit(vit, &data, &recipe, &run, &Execution::on(std::slice::from_ref(&device)), Arc::new(()))
            .expect("a short run");
    let steps: Vec<usize> = fitted.metrics.iter().map(|metrics| metrics.step).collect();
    assert_eq!(steps, [2, 4]);

    let last =
        read(&run.join("last.safetensors"), &ReadOptions::default()).expect("the run leaves it");
    assert_eq!(last.shape, descendant.shape);
    assert_eq!(last.parameters, fitted.model.state_dict());
    assert_ne!(last.parameters, descendant.parameters, "nothing was trained");

    let again = load(&last.shape, &last.parameters, &device);
    let batch_size = NonZeroUsize::new(16).expect("not zero");
    let found = evaluate(&again, &data.test, &data.preprocess, batch_size, &device)
        .expect("the images are labelled");
    let measured = fitted.metrics[1].test;
    assert_eq!(found.images, 50);
    assert_eq!((found.top1, found.top5), (measured.top1, measured.top5));
    assert!((found.loss - measured.loss).abs() <= 1e-6, "{} and {}", found.loss, measured.loss);
}

/// What a pruning library leaves: FFNs of a width of their own in each layer.
#[test]
fn an_ancestor_of_other_widths_in_every_layer_goes_the_whole_way() {
    let ancestor = VIT_PRUNED.read();
    let widths = |shape: &Shape| -> Vec<usize> {
        shape.layers().iter().map(|layer| layer.ffn.hidden_dim).collect()
    };
    assert_eq!(widths(&ancestor.shape), [77, 29, 64, 33]);
    let learngene = condensed(&ancestor, &measure(&ancestor, 8, 8), NOTHING_JOINED);
    let heads = HeadPolicy::List(vec![2, 3, 4, 1, 3]);
    // Of CIFAR-10's classes.
    let num_classes = Some(10);
    let config = DescendantConfig { depth: 5.into(), heads, num_classes, ..Default::default() };
    let descendant = expand(&learngene, &config).expect("a possible descendant");
    assert_eq!(widths(&descendant.shape), [77, 29, 64, 33, 33]);

    let device = Device::flex();
    let run = folder();
    let data = FitData {
        train: sample(Split::Train, 16),
        test: sample(Split::Test, 10),
        preprocess: preprocess(descendant.shape.image().size),
        teacher: None,
    };
    let recipe =
        Recipe { epochs: 1, batch_size: 16, warmup_epochs: Some(0.0), ..Recipe::default() };
    let vit = load(&descendant.shape, &descendant.parameters, &device);
    let execution = Execution::on(std::slice::from_ref(&device));
    let trained = fit(vit, &data, &recipe, run.path(), &execution, Arc::new(()))
        .expect("a short run")
        .model
        .state_dict();
    assert_ne!(trained, descendant.parameters, "nothing was trained");

    let path = run.path().join("descendant.safetensors");
    write(&path, &descendant.shape, &trained, Dialect::Timm, Dtype::F32, None)
        .expect("a temporary folder is writable");
    let again = read(&path, &ReadOptions::default()).expect("it was just written");
    assert_eq!(again.shape, descendant.shape);
    let of = |parameters| logits(&descendant.shape, parameters, images(2, 32, &device));
    assert_eq!(of(&again.parameters), of(&trained));
}
