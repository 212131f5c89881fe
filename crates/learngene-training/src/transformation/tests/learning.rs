//! Only transformations and the classifier learn, and folding does not change the model.

use std::collections::BTreeSet;

use burn::{
    module::Module,
    optim::SgdConfig,
    tensor::{Device, Tensor},
};
use burn_train::TrainStep;
use learngene_checkpoints::{Dialect, ReadOptions};
use learngene_models::{Classifier, Model, state_dict};
use learngene_tensors::{Dtype, StateDict};

use super::support::*;
use crate::{
    Recipe, TransformationConfig, Transforming,
    image_batch::{Goal, ImageBatch},
    loss::Targets,
    student::Student,
};

fn check_learning(descendant: &Descendant, config: &TransformationConfig) {
    let before = descendant.attach(config);
    let after = trained(before.clone());
    let [before, changed] = [&before, &after].map(state_dict);
    for (name, tensor) in before.iter() {
        let has_moved = changed.get(name) != Some(tensor);
        assert_eq!(has_moved, learns(name), "{config:?}: {name}");
    }

    let unfolded = logits_by_layer(&after);
    assert!(difference(&unfolded, &logits(&descendant.load())) > 1e-2, "{config:?}");
    let parameters = after.state_dict();
    let folded = after.fold();
    assert_eq!(folded.state_dict(), parameters);
    let apart = difference(&logits(&folded), &unfolded);
    assert!(apart < 1e-5, "{config:?}: {apart}");
    let loaded = Model::load(&descendant.shape, &parameters, &Device::flex());
    assert_eq!(logits(&loaded.expect("plain parameters")), logits(&folded));
}

#[test]
fn what_was_learnt_is_folded() {
    let [vit, swin] = [vit(), swin()];
    for ffn in FFN {
        check_learning(&vit, &config(ffn, "low-rank:2"));
        check_learning(&vit, &config(ffn, "scale-shift"));
        check_learning(&swin, &config(ffn, "low-rank:2"));
    }
    check_learning(&vit, &config("", "low-rank:2"));
}

/// In the code published with the paper, a random linear-ReLU-linear replaced every weight, assigned
/// past the gradient, so it neither started from what was inherited nor ever changed.
fn check_gradients(descendant: &Descendant, config: &TransformationConfig) {
    let mut model = descendant.attach(config);
    let transformations = model.transformations();
    let learnt = transformations.names().map(|name| format!("transformations.{name}"));
    let mut unreached: BTreeSet<String> = learnt.collect();
    assert!(!unreached.is_empty());
    model = with_autodiff(model);
    let mut sgd = SgdConfig::new().init();
    // A drawn factor has no gradient before the factor that is zero has moved.
    for _ in 0..3 {
        let gradients = gradients(&model);
        for (name, size) in largest_gradients(&model, &gradients) {
            assert!(learns(&name), "{name} is frozen, but has a gradient");
            if size > 0.0 {
                unreached.remove(&name);
            }
        }
        model = sgd.step(0.1, model, gradients);
    }
    assert!(unreached.is_empty(), "{config:?}: no gradient reaches {unreached:?}");
}

#[test]
fn gradients_reach_every_transformation() {
    for ffn in FFN {
        for heads in ["low-rank:2", "scale-shift"] {
            check_gradients(&vit(), &config(ffn, heads));
        }
        check_gradients(&swin(), &config(ffn, "low-rank:2"));
    }
}

#[test]
fn layers_of_a_group_become_different() {
    let descendant = vit();
    for ffn in FFN {
        let model = descendant.attach(&config(ffn, ""));
        let apart = |model: &Transforming, name: &str| {
            let parameters = model.state_dict();
            let [a, b] = [0, 1].map(|layer| {
                let name = format!("blocks.{layer}.mlp.{name}");
                parameters.get(&name).expect("a parameter of a block").values.clone()
            });
            difference(&a, &b)
        };
        let after = trained(model.clone());
        for name in ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"] {
            assert_eq!(apart(&model, name), 0.0, "{ffn}: {name}");
            assert!(apart(&after, name) > 1e-4, "{ffn}: {name}");
        }
    }
}

#[test]
fn every_parameter_of_a_folded_model_learns() {
    let descendant = vit();
    for device in [Device::flex(), Device::flex().autodiff()] {
        let model = descendant.attach(&config("cross-layer", "low-rank")).fork(&device);
        let gradients = gradients(&with_autodiff(model.train().fold()));
        assert_eq!(gradients.len(), descendant.shape.parameters().len());
    }
}

#[test]
fn transformations_are_read_back_into_the_same_descendant() {
    let descendant = vit();
    for ffn in FFN {
        let config = config(ffn, "low-rank:2");
        let learnt = trained(descendant.attach(&config)).valid();
        let read = descendant.attach(&config).with_transformations(&learnt.transformations());
        let read = read.expect("its own tensors");
        assert_eq!(read.transformations(), learnt.transformations());
        // The classifier is not among the transformations.
        let features = |model: &Transforming| values(model.features(images(&Device::flex())));
        assert!(difference(&features(&read), &features(&learnt)) < 1e-6, "{ffn}");
    }
}

#[test]
fn folded_parameters_become_the_bases() {
    let descendant = vit();
    let config = config("low-rank:2", "low-rank:2");
    let learnt = trained(descendant.attach(&config));
    let parameters = learnt.state_dict();
    let read = descendant.attach(&config).with_parameters(&parameters);
    let read = read.expect("parameters of the same shape");
    assert_eq!(read.state_dict(), parameters);
    assert!(difference(&logits(&read), &logits(&learnt)) < 1e-5);
    // Layers that are still equal share a base.
    let fresh = descendant.attach(&config);
    let again = fresh.clone().with_parameters(&descendant.parameters).expect("its own parameters");
    assert_eq!(again.num_params(), fresh.num_params());
    assert!(again.num_params() < read.num_params());
    assert!(read.with_parameters(&StateDict::default()).is_err());

    // What is written is an ordinary checkpoint.
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("folded.safetensors");
    let (shape, dtype) = (learnt.shape(), Dtype::F32);
    learngene_checkpoints::write(&path, &shape, &parameters, Dialect::Timm, dtype, None)
        .expect("the folder is ours");
    let read = learngene_checkpoints::read(&path, &ReadOptions::default()).expect("just written");
    assert_eq!((read.shape, read.parameters), (descendant.shape, parameters));
}

/// As burn-train resumes a run.
#[test]
fn a_record_is_read_back_whole() {
    let descendant = vit();
    let config = config("cross-layer:4", "low-rank:2");
    let learnt = trained(descendant.attach(&config));
    let resumed =
        with_autodiff(descendant.attach(&config)).load_record(learnt.clone().into_record());
    assert_eq!(state_dict(&resumed), state_dict(&learnt));
    let mut sgd = SgdConfig::new().init();
    let resumed = steps(resumed, 1, 0.1, &mut sgd);
    let learnt = steps(learnt, 1, 0.1, &mut sgd);
    assert_eq!(state_dict(&resumed), state_dict(&learnt));
}

#[test]
fn recomputed_layers_have_the_same_gradients() {
    let descendant = vit();
    for ffn in FFN {
        let model = trained(descendant.attach(&config(ffn, "low-rank:2")));
        let device = model.device();
        let step = |gradient_checkpointing| {
            let recipe = Recipe { gradient_checkpointing, ..Recipe::default() };
            let student = Student::new(model.clone(), &recipe);
            let targets = Targets::Classes(Tensor::from_data([0_i64, 4, 2, 1], &device));
            let goal = Goal { targets, lesson: None, weight: 1.0 };
            let images = images(&device);
            let batch = ImageBatch { images, goal, branches: None, part: 0 };
            largest_gradients(&student, &TrainStep::step(&student, batch).grads)
        };
        let (whole, recomputed) = (step(false), step(true));
        assert!(whole.len() > 2, "{whole:?}");
        assert_eq!(recomputed.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
        for (name, size) in whole {
            let apart = (recomputed[&name] - size).abs();
            assert!(apart <= 1e-5 * size.max(1e-3), "{ffn}: {name} {size} {apart}");
        }
    }
}
