//! What is refused, and in which words.

use learngene_format::Learngene;
use learngene_tensors::Result;

use super::support::{Condensing, config, inherit_all, random_parameters, tiny, tiny_swin};
use crate::{
    Descendant, DescendantConfig, auto_learngene, expand, heuristic_learngene,
    pretraining_finetuning, weight_selection, weight_transformation,
};

fn refused(result: Result<Descendant>, message: &str) {
    assert_eq!(result.expect_err(message).to_string(), message);
}

#[test]
fn a_learngene_gives_what_it_holds() {
    let of = |condensing: Condensing, json: &str| {
        expand(&condensing.condense(&tiny(), &random_parameters(&tiny())), &config(json))
    };
    let plain = || Condensing { keep_projection: false, classifier: false, ..Condensing::joined() };
    let message = "source of the projection `origin`: found a learngene without whole projections, \
                   expected one condensed with --keep-projection, or the policy centroid or rescaled";
    refused(of(plain(), r#"{"projection":"origin"}"#), message);
    let message = "source of the projection `refit`: found a learngene that was not refitted, \
                   expected one condensed by size or with --refit, or another policy";
    refused(of(plain(), r#"{"projection":"refit"}"#), message);
    let message = "source of the projection `rescaled`: found a learngene that was refitted, \
                   expected one by clusters without --refit, or the policy refit";
    let refitted = Condensing { refit: true, ..plain() };
    refused(of(refitted, r#"{"projection":"rescaled"}"#), message);
    let message = "classifier to inherit: found none in the learngene, expected a fresh classifier, \
                   or a learngene condensed with --keep-classifier";
    refused(of(plain(), r#"{"classifier":"inherit"}"#), message);
}

#[test]
fn an_ancestor_gives_what_it_has() {
    let shape = tiny().with_num_classes(0).expect("a backbone");
    let mut parameters = random_parameters(&shape);
    let message = "classifier to inherit: found none in the ancestor, expected a fresh classifier";
    refused(pretraining_finetuning(&parameters, &shape, &inherit_all()), message);
    parameters.remove("blocks.1.attn.qkv.bias");
    let message = "ancestor: the parameters do not fit the model; missing: blocks.1.attn.qkv.bias";
    refused(pretraining_finetuning(&parameters, &shape, &DescendantConfig::default()), message);
}

#[test]
fn layers_that_are_not_there_are_refused() {
    let (vit, swin) = (random_parameters(&tiny()), random_parameters(&tiny_swin()));
    for count in [0, 4] {
        let message = format!("number of inherited layers: found {count}, expected 1 to 3");
        let none = DescendantConfig::default();
        refused(heuristic_learngene(&vit, &tiny(), Some(count), &none), &message);
        refused(auto_learngene(&vit, &tiny(), Some(count), &none), &message);
    }
    let message = "number of inherited layers: found 3, expected 1 to 2";
    let shallow = config(r#"{"depth":"2"}"#);
    refused(heuristic_learngene(&vit, &tiny(), Some(3), &shallow), message);
    let message = "stage 0: number of inherited layers: found 2, expected at most 1, the depth of \
                   that stage";
    let small = config(r#"{"depth":"1,2"}"#);
    refused(heuristic_learngene(&swin, &tiny_swin(), Some(3), &small), message);
    refused(auto_learngene(&swin, &tiny_swin(), Some(3), &small), message);
    let message = "layers in a row that share weights: found 1, expected at least 2";
    refused(weight_transformation(&vit, &tiny(), Some(1), &Default::default()), message);
}

#[test]
fn weight_selection_only_makes_models_smaller() {
    let select = |json: &str| weight_selection(&random_parameters(&tiny()), &tiny(), &config(json));
    let larger = |layer: usize, what: &str, found: usize, most: usize| {
        format!(
            "layer {layer}: {what}: found {found}, expected at most {most}, the ancestor's: weight \
             selection only makes models smaller"
        )
    };
    let wide = select(r#"{"depth":"2","heads":"1","embed_dim":27}"#);
    refused(wide, &larger(0, "token width", 27, 24));
    refused(select(r#"{"heads":"3"}"#), &larger(2, "number of heads", 3, 2));
    refused(select(r#"{"mlp_ratio":"2"}"#), &larger(0, "hidden width", 48, 40));
    let message = "layer 3: layer of the ancestor: found 2, which layer 2 is made from, expected \
                   one of its own";
    refused(select(r#"{"depth":"4","heads":"1"}"#), message);
}

/// A file whose checksums are right may still hold any number.
#[test]
fn a_factor_that_is_none_is_refused() {
    let parameters = random_parameters(&tiny());
    let learngene = Condensing { refit: true, ..Condensing::joined() };
    let (manifest, mut tensors) = learngene.condense(&tiny(), &parameters).into_parts();
    let name = "blocks.1.attn.proj.factor";
    let mut factor = tensors.remove(name).expect("it was fitted");
    factor.values[2] = -0.5; // The second on the diagonal.
    tensors.insert(name.to_owned(), factor);
    let learngene = Learngene::new(manifest, tensors).expect("finite numbers");
    let error = expand(&learngene, &DescendantConfig::default()).expect_err("no factor");
    let message = format!("{name}: found -0.5 on its diagonal, expected numbers above 0");
    assert_eq!(error.to_string(), message);
}
