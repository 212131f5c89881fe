//! Transformations learn, nothing else does but the classifier, and folding changes nothing.

use std::collections::BTreeSet;

use burn::{
    module::Module,
    optim::{GradientsAccumulator, GradientsParams, SgdConfig},
    tensor::{Device, Gradients, Tensor},
};
use learngene_models::{
    Classifier, ModelConfig, StateDict,
    checkpoint::{self, ReadOptions},
};

use super::support::*;
use crate::{NewLayers, TransformationConfig, Transforming};

fn check_learning(ancestor: &ModelConfig, wanted: &TransformationConfig) {
    let descendant = descendant(ancestor, NewLayers::Copy);
    let before = transforming(&descendant, wanted);
    let after = trained(before.clone());
    let [before, changed] = [&before, &after].map(StateDict::from_module);
    for (name, tensor) in before.iter() {
        let has_moved = changed.get(name) != Some(tensor);
        assert_eq!(has_moved, learns(name), "{wanted:?}: {name}");
    }

    let unfolded = logits_by_layer(&after);
    assert!(difference(&unfolded, &logits(&load(&descendant))) > 1e-2, "{wanted:?}");
    let parameters = after.state_dict();
    let folded = after.fold();
    assert_eq!(folded.state_dict(), parameters);
    let apart = difference(&logits(&folded), &unfolded);
    assert!(apart < 1e-5, "{wanted:?}: {apart}");
    let loaded = descendant.config.load(&parameters, &Device::flex()).expect("plain parameters");
    assert_eq!(logits(&loaded), logits(&folded));
}

#[test]
fn what_a_vit_learnt_is_folded() {
    for ffn in FFN {
        for heads in ["low-rank:2", "scale-shift"] {
            check_learning(&vit(), &wanted(ffn, heads));
        }
    }
    check_learning(&vit(), &wanted("", "low-rank:2"));
}

#[test]
fn what_a_swin_learnt_is_folded() {
    for ffn in FFN {
        check_learning(&swin(), &wanted(ffn, "low-rank:2"));
    }
}

fn check_start(ancestor: &ModelConfig, wanted: &TransformationConfig) {
    let descendant = descendant(ancestor, NewLayers::Copy);
    let mut model = transforming(&descendant, wanted);
    let apart = difference(&logits(&model), &logits(&load(&descendant)));
    assert!(apart < 1e-6, "{wanted:?}: {apart} at step 0");

    let transformations = model.transformations();
    let learnt = transformations.names().map(|name| format!("transformations.{name}"));
    let mut unreached: BTreeSet<String> = learnt.collect();
    assert!(!unreached.is_empty());
    model = with_autodiff(model);
    let mut sgd = SgdConfig::new().init();
    // A factor that is drawn has no gradient before the one that is zero has moved.
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
    assert!(unreached.is_empty(), "{wanted:?}: no gradient reaches {unreached:?}");
}

/// Published: a random linear-ReLU-linear in place of every weight, assigned past the gradient, so
/// that it neither started from what was inherited nor ever changed.
#[test]
fn transformations_start_as_the_identity_and_get_gradients() {
    for ffn in FFN {
        for heads in ["low-rank:2", "scale-shift"] {
            check_start(&vit(), &wanted(ffn, heads));
        }
        check_start(&swin(), &wanted(ffn, "low-rank:2"));
    }
}

#[test]
fn layers_of_a_group_part() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    assert_eq!(descendant.plan().ffn, [0, 0, 1, 1, 2, 2]);
    for ffn in FFN {
        let model = transforming(&descendant, &wanted(ffn, ""));
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
fn a_folded_model_learns_everywhere() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    for device in [Device::flex(), Device::flex().autodiff()] {
        let model = transforming(&descendant, &wanted("cross-layer", "low-rank")).fork(&device);
        let folded = with_autodiff(model.train().fold());
        let gradients = gradients(&folded);
        assert_eq!(gradients.len(), descendant.config.parameter_shapes().len());
    }
}

#[test]
fn what_was_learnt_is_read_back_into_a_fresh_expansion() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    for ffn in FFN {
        let wanted = wanted(ffn, "low-rank:2");
        let learnt = trained(transforming(&descendant, &wanted)).valid();
        let fresh = transforming(&descendant, &wanted);
        let fresh = fresh.with_transformations(&learnt.transformations()).expect("its own tensors");
        assert_eq!(fresh.transformations(), learnt.transformations());
        // The classifier is no transformation.
        let features = |model: &Transforming| values(model.features(images(&Device::flex())));
        assert!(difference(&features(&fresh), &features(&learnt)) < 1e-6, "{ffn}");
    }
}

#[test]
fn folded_parameters_become_the_bases() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    let wanted = wanted("low-rank:2", "low-rank:2");
    let learnt = trained(transforming(&descendant, &wanted));
    let parameters = learnt.state_dict();
    let read = transforming(&descendant, &wanted).with_parameters(&parameters);
    let read = read.expect("a checkpoint of the same shape");
    assert_eq!(read.state_dict(), parameters);
    assert!(difference(&logits(&read), &logits(&learnt)) < 1e-5);
    // What is still shared stays shared.
    let again = transforming(&descendant, &wanted).with_parameters(&descendant.parameters);
    let again = again.expect("its own parameters");
    assert_eq!(again.num_params(), transforming(&descendant, &wanted).num_params());
    assert!(again.num_params() < read.num_params());
    assert!(read.with_parameters(&StateDict::default()).is_err());
}

#[test]
fn a_saved_checkpoint_is_an_ordinary_one() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    let learnt = trained(transforming(&descendant, &wanted("low-rank:2", "low-rank:2")));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("folded.safetensors");
    learnt.save(&path, None).expect("the folder is ours");
    let read = checkpoint::read(&path, &ReadOptions::default()).expect("written just before");
    assert_eq!(read.parameters, learnt.state_dict());
    assert_eq!(read.config, descendant.config);
}

/// As burn-train resumes a run.
#[test]
fn a_record_is_read_back_whole() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    let wanted = wanted("cross-layer:4", "low-rank:2");
    let learnt = trained(transforming(&descendant, &wanted));
    let fresh = with_autodiff(transforming(&descendant, &wanted));
    let resumed = fresh.load_record(learnt.clone().into_record());
    assert_eq!(StateDict::from_module(&resumed), StateDict::from_module(&learnt));
    let mut sgd = SgdConfig::new().init();
    let resumed = steps(resumed, 1, 0.1, &mut sgd);
    let learnt = steps(learnt, 1, 0.1, &mut sgd);
    assert_eq!(StateDict::from_module(&resumed), StateDict::from_module(&learnt));
}

/// Gradients layer by layer, as training's gradient checkpointing gets them.
#[test]
fn layers_run_one_by_one_have_the_same_gradients() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    for ffn in FFN {
        let model = trained(transforming(&descendant, &wanted(ffn, "low-rank:2")));
        let whole = largest_gradients(&model, &gradients(&model));

        let forward = model.valid();
        let mut tokens = vec![forward.embed(images(&Device::flex()))];
        for layer in 0..forward.num_layers() {
            tokens.push(forward.forward_layer(layer, tokens[layer].clone()));
        }
        let mut sum = GradientsAccumulator::new();
        let mut add =
            |part: Gradients| sum.accumulate(&model, GradientsParams::from_grads(part, &model));
        let leaf = |tokens: &Tensor<3>| Tensor::from_inner(tokens.clone()).require_grad();
        let last = leaf(&tokens[forward.num_layers()]);
        let logits = model.classify(model.pool(last.clone()));
        let mut part = loss(logits).backward();
        let mut dy = last.grad_remove(&mut part).expect("the loss depends on the tokens");
        add(part);
        for layer in (0..forward.num_layers()).rev() {
            let input = leaf(&tokens[layer]);
            let y = model.forward_layer(layer, input.clone());
            let mut part = (y * Tensor::from_inner(dy)).sum().backward();
            dy = input.grad_remove(&mut part).expect("a layer depends on its input");
            add(part);
        }
        let by_layer = largest_gradients(&model, &sum.grads());
        assert_eq!(by_layer.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
        for (name, size) in whole {
            let apart = (by_layer[&name] - size).abs();
            assert!(apart <= 1e-5 * size.max(1e-3), "{ffn}: {name} {size} {apart}");
        }
    }
}
