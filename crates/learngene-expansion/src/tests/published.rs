//! Faults of the published code, replayed: what they change, and that they change nothing else.

use std::collections::BTreeSet;

use learngene_format::{Fault, Learngene, Manifest};
use learngene_models::{Head, HostTensor, ModelConfig, Projection, StateDict};

use super::support::{Condensing, random_parameters, tiny, tiny_swin};
use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, ExpansionError, HeadPolicy, Order,
    ProjectionPolicy, expand, expand_with_faults,
};

/// The ancestor as the published code reads it: what is a head's by timm's order is what the wrong
/// one says.
fn misread(config: &ModelConfig, parameters: &StateDict) -> StateDict {
    let mut misread = parameters.clone();
    for layer in 0..config.depth() {
        let shape = config.layer(layer);
        for (part, width) in [("weight", shape.embed_dim), ("bias", 1)] {
            let name = format!("{}.attn.qkv.{part}", config.block(layer));
            let HostTensor { shape: dims, values: from } =
                parameters.get(&name).expect("a parameter of the shape").clone();
            let mut to = vec![0.0; from.len()];
            for head in (0..shape.heads.num_heads).map(Head) {
                for of in Projection::ALL {
                    let (rows, mixed) =
                        (shape.heads.rows(of, head), shape.heads.mixed_rows(of, head));
                    to[rows.start * width..rows.end * width]
                        .copy_from_slice(&from[mixed.start * width..mixed.end * width]);
                }
            }
            misread.insert(name, HostTensor::new(dims, to));
        }
    }
    misread
}

fn learngene(config: &ModelConfig, parameters: &StateDict, compat: &[Fault]) -> Learngene {
    let learngene = Condensing::nothing_joined(config).condense(config, parameters);
    let (manifest, tensors) = learngene.into_parts();
    let manifest = Manifest { compat: compat.to_vec(), ..manifest };
    Learngene::new(manifest, tensors).expect("a whole learngene")
}

fn wanted(heads: HeadPolicy) -> DescendantConfig {
    DescendantConfig {
        heads,
        order: Order::Origin,
        projection: Some(ProjectionPolicy::Centroid),
        classifier: ClassifierPolicy::Inherit,
        seed: 3,
        ..DescendantConfig::default()
    }
}

fn expanded(learngene: &Learngene, heads: HeadPolicy, faults: &[Fault]) -> Descendant {
    expand_with_faults(learngene, &wanted(heads), faults).expect("the faults are the learngene's")
}

/// Endings of the names of parameters that differ, below their layers.
fn differing(one: &StateDict, other: &StateDict) -> BTreeSet<String> {
    assert!(one.iter().map(|(name, _)| name).eq(other.iter().map(|(name, _)| name)));
    let differing = one.iter().filter(|(name, tensor)| other.get(name) != Some(tensor));
    let ending = |name: &str| name.rsplitn(4, '.').take(3).collect::<Vec<_>>().join(" ");
    differing.map(|(name, _)| ending(name)).collect()
}

const QKV: [&str; 2] = ["bias qkv attn", "weight qkv attn"];

#[test]
fn mixed_heads_cancel_where_all_are_kept_in_order() {
    for config in [tiny(), tiny_swin()] {
        let parameters = random_parameters(&config);
        let mixed = misread(&config, &parameters);
        assert_eq!(differing(&parameters, &mixed), BTreeSet::from(QKV.map(String::from)));
        let faults = [Fault::MixedHeads];
        let mixed = learngene(&config, &mixed, &faults);
        let descendant = expanded(&mixed, HeadPolicy::SameAsAncestor, &faults);
        assert_eq!(descendant.parameters, parameters);
    }
}

#[test]
fn mixed_heads_are_others_where_some_are_kept() {
    let config = tiny();
    let parameters = random_parameters(&config);
    let faults = [Fault::MixedHeads];
    let mixed = learngene(&config, &misread(&config, &parameters), &faults);
    let sound = learngene(&config, &parameters, &[]);
    let mixed = expanded(&mixed, HeadPolicy::Count(1), &faults);
    let sound = expanded(&sound, HeadPolicy::Count(1), &[]);
    let differing = differing(&mixed.parameters, &sound.parameters);
    assert_eq!(differing, BTreeSet::from(QKV.map(String::from)));
    // The first 3 * head_dim rows of the ancestor, whatever they are.
    let rows = |of: &StateDict| of.get("blocks.0.attn.qkv.weight").expect("there").values.clone();
    assert_eq!(rows(&mixed.parameters), rows(&parameters)[..3 * 8 * 24]);
}

fn check(fault: Fault, changed: &[&str]) -> [StateDict; 2] {
    let config = tiny();
    let learngene = learngene(&config, &random_parameters(&config), &[]);
    let heads = || HeadPolicy::SameAsAncestor;
    let sound = expanded(&learngene, heads(), &[]);
    let by_default = expand(&learngene, &wanted(heads())).expect("a possible descendant");
    assert_eq!(by_default.parameters, sound.parameters);
    let faulty = expanded(&learngene, heads(), &[fault]);
    let again = expanded(&learngene, heads(), &[fault]);
    assert_eq!(faulty.parameters, again.parameters);
    let changed = changed.iter().map(ToString::to_string).collect();
    assert_eq!(differing(&sound.parameters, &faulty.parameters), changed, "{fault}");
    assert_eq!(sound.inherited_parameters, faulty.inherited_parameters);
    [sound.parameters, faulty.parameters]
}

#[test]
fn lost_biases_are_zero() {
    let [_, faulty] = check(Fault::LostBias, &["bias qkv attn"]);
    for layer in 0..3 {
        let bias = faulty.get(&format!("blocks.{layer}.attn.qkv.bias")).expect("there");
        assert!(bias.values.iter().all(|value| *value == 0.0));
    }
}

#[test]
fn destroyed_networks_have_weights_of_their_own() {
    let [sound, faulty] = check(Fault::DestructiveFfn, &["weight fc1 mlp", "weight fc2 mlp"]);
    for layer in 0..3 {
        for name in ["fc1", "fc2"] {
            let name = format!("blocks.{layer}.mlp.{name}.weight");
            let (sound, faulty) = (sound.get(&name), faulty.get(&name));
            assert_ne!(sound, faulty, "{name}");
            assert_eq!(sound.map(|of| &of.shape), faulty.map(|of| &of.shape));
        }
    }
    let config = tiny();
    let learngene = learngene(&config, &random_parameters(&config), &[]);
    let wanted = DescendantConfig { seed: 4, ..wanted(HeadPolicy::SameAsAncestor) };
    let other = expand_with_faults(&learngene, &wanted, &[Fault::DestructiveFfn]);
    assert_ne!(other.expect("a possible descendant").parameters, faulty, "another seed");
}

#[test]
fn a_blank_probe_and_half_epochs_change_nothing_here() {
    let config = tiny();
    let parameters = random_parameters(&config);
    let sound = expanded(&learngene(&config, &parameters, &[]), HeadPolicy::Count(2), &[]);
    let blank = learngene(&config, &parameters, &[Fault::BlankProbe]);
    let faults = [Fault::BlankProbe, Fault::HalfEpochs];
    let blank = expanded(&blank, HeadPolicy::Count(2), &faults);
    assert_eq!(blank.parameters, sound.parameters);
}

fn refused(of_learngene: &[Fault], asked: &[Fault]) -> ExpansionError {
    let config = tiny();
    let learngene = learngene(&config, &random_parameters(&config), of_learngene);
    let wanted = wanted(HeadPolicy::SameAsAncestor);
    let error = expand_with_faults(&learngene, &wanted, asked).expect_err("must be refused");
    if asked.is_empty() {
        assert_eq!(expand(&learngene, &wanted).expect_err("likewise"), error);
    }
    error
}

#[test]
fn a_faulty_learngene_is_not_taken_for_a_sound_one() {
    for fault in [Fault::MixedHeads, Fault::BlankProbe] {
        let error = refused(&[fault], &[]);
        assert_eq!(error, ExpansionError::FaultNotAsked { fault });
        let said = error.to_string();
        assert!(said.contains(&format!("--compat {fault} takes it")), "{said}");
        assert_eq!(refused(&[fault], &[Fault::LostBias]), error);
    }
}

#[test]
fn a_sound_learngene_is_not_taken_for_a_faulty_one() {
    for fault in [Fault::MixedHeads, Fault::BlankProbe] {
        let error = refused(&[], &[Fault::LostBias, fault]);
        assert_eq!(error, ExpansionError::FaultAbsent { fault });
        assert!(error.to_string().starts_with(&format!("--compat {fault}")), "{error}");
    }
}
