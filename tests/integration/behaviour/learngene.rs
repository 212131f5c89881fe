//! What passes from an ancestor to its descendants, and what does not.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use burn::tensor::Device;
use learngene_datasets::Split;
use learngene_expansion::{Descendant, DescendantConfig, LayerPolicy};
use learngene_format::{LayerClusters, Learngene};
use learngene_models::{Classifier, Model};
use learngene_shape::{Shape, select_heads};
use learngene_tensors::StateDict;
use learngene_training::{Execution, FitData, Recipe, fit};

use crate::support::{
    NOTHING_JOINED, SOME_JOINED, checkpoint_in, clusters, condensed, descendant, folder, images,
    largest_gap, load, logits, measure, preprocess, random_parameters, sample, tiny,
};

/// The same ancestor with its heads in another order has the same clusters of them, found where the
/// heads now are. Lists typed in by hand would stay as they were.
#[test]
fn head_lists_come_out_of_the_data() {
    const ORDER: [usize; 6] = [4, 0, 5, 2, 1, 3];

    let shape = tiny();
    let parameters = random_parameters(&shape, 5);
    let found = |parameters: &StateDict, eps: f64| {
        let ancestor = checkpoint_in(folder().path(), &shape, parameters);
        clusters(&measure(&ancestor, 16, 8), eps).heads.layers
    };
    let reordered = reorder_heads(&parameters, &shape, &ORDER);

    // From few heads joined to most of them.
    for eps in [0.05, SOME_JOINED, 0.2] {
        let (before, after) = (found(&parameters, eps), found(&reordered, eps));
        let counts: Vec<usize> = before.iter().map(|layer| layer.sizes.len()).collect();
        assert!(counts.iter().any(|count| (2..6).contains(count)), "{counts:?} clusters a layer");
        for (before, after) in before.iter().zip(&after) {
            for (a, from_a) in ORDER.into_iter().enumerate() {
                for (b, from_b) in ORDER.into_iter().enumerate() {
                    let together = before.labels[from_a] == before.labels[from_b];
                    assert_eq!(after.labels[a] == after.labels[b], together, "{a}, {b}, {eps} px");
                }
            }
            let moved = representatives(after).into_iter().map(|head| ORDER[head]);
            assert_eq!(moved.collect::<BTreeSet<_>>(), representatives(before), "{eps} px");
        }
    }
}

/// Representatives, but for clusters of two heads: both are as near the mean, and the first is taken.
fn representatives(layer: &LayerClusters) -> BTreeSet<usize> {
    let clusters = layer.sizes.iter().zip(&layer.representatives);
    clusters.filter(|(size, _)| **size != 2).map(|(_, head)| *head).collect()
}

/// The ancestor's file is gone when the descendant is made.
#[test]
fn a_descendant_needs_the_learngene_alone() {
    let (ancestry, descent) = (folder(), folder());
    let file = descent.path().join("tiny.learngene");
    let input = || images(4, tiny().image().size, &Device::flex());
    let wanted = {
        let ancestor = checkpoint_in(ancestry.path(), &tiny(), &random_parameters(&tiny(), 5));
        let learngene = condensed(&ancestor, &measure(&ancestor, 8, 8), NOTHING_JOINED);
        learngene.write(&file).expect("a temporary folder is writable");
        logits(&ancestor.shape, &ancestor.parameters, input())
    };
    ancestry.close().expect("nothing holds the folder");
    assert_eq!(fs::read_dir(descent.path()).expect("it is ours").count(), 1);

    let learngene = Learngene::read(&file).expect("it was just written");
    let whole = descendant(&learngene, DescendantConfig::default());
    let gap = largest_gap(&logits(&whole.shape, &whole.parameters, input()), &wanted);
    assert!(gap <= 1e-5, "logits differ by {gap}");

    let other = DescendantConfig {
        depth: 5.into(),
        layers: LayerPolicy::Even,
        heads: "x2".parse().expect("a ratio"),
        ..Default::default()
    };
    let other = descendant(&learngene, other);
    assert_eq!(other.shape.num_heads(), [12; 5]);
    assert!(logits(&other.shape, &other.parameters, input()).iter().all(|x| x.is_finite()));
}

/// Two epochs of training move the descendant and nothing else: neither the ancestor, its file, the
/// learngene and its file, nor another descendant. Copies of a layer become different.
#[test]
fn training_a_descendant_changes_nothing_else() {
    let folder = folder();
    let (shape, file) = (tiny(), folder.path().join("tiny.learngene"));
    let ancestor = checkpoint_in(folder.path(), &shape, &random_parameters(&shape, 5));
    let learngene = condensed(&ancestor, &measure(&ancestor, 8, 8), SOME_JOINED);
    learngene.write(&file).expect("a temporary folder is writable");
    let model = load(&ancestor.shape, &ancestor.parameters, &Device::flex());
    let files = || ["ancestor.safetensors", "tiny.learngene"].map(|name| read(folder.path(), name));
    let (files_before, bytes_before) = (files(), learngene.to_bytes());

    let config =
        || DescendantConfig { depth: 6.into(), layers: LayerPolicy::Even, ..Default::default() };
    let first = descendant(&learngene, config());
    let second = descendant(&learngene, config());
    let trained = train(&first, &folder.path().join("run")).state_dict();

    for (name, tensor) in trained.iter() {
        assert_ne!(first.parameters.get(name), Some(tensor), "{name} was not trained");
    }
    let copies = ["blocks.0.mlp.fc1.weight", "blocks.1.mlp.fc1.weight"];
    assert_eq!(first.parameters.get(copies[0]), first.parameters.get(copies[1]));
    assert_ne!(trained.get(copies[0]), trained.get(copies[1]));

    assert_eq!(model.state_dict(), ancestor.parameters);
    assert_eq!(ancestor.parameters, random_parameters(&shape, 5));
    assert_eq!(learngene.to_bytes(), bytes_before);
    assert_eq!(files(), files_before);
    assert_eq!(first.parameters, second.parameters);
    assert_eq!(descendant(&learngene, config()).parameters, second.parameters);
}

/// Parameters whose head `h` is head `order[h]` of others, in every layer: the same function.
fn reorder_heads(from: &StateDict, shape: &Shape, order: &[usize]) -> StateDict {
    let reordered = shape.parameters().into_iter().map(|parameter| {
        let tensor = from.get(&parameter.name).expect("a parameter of the shape");
        (parameter.name.clone(), select_heads(&parameter, tensor, order))
    });
    reordered.collect()
}

/// Two epochs of two steps each, at a rate high enough to move every parameter.
fn train(descendant: &Descendant, run: &Path) -> Model {
    let device = Device::flex();
    let vit = load(&descendant.shape, &descendant.parameters, &device);
    let data = FitData {
        train: sample(Split::Train, 32),
        test: sample(Split::Test, 10),
        preprocess: preprocess(descendant.shape.image().size),
        teacher: None,
    };
    let recipe = Recipe {
        epochs: 2,
        batch_size: 16,
        learning_rate: 0.1,
        warmup_epochs: Some(0.0),
        ..Recipe::default()
    };
    fit(vit, &data, &recipe, run, &Execution::on(&[device]), Arc::new(()))
        .expect("a short run")
        .model
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).expect("it was written before")
}
