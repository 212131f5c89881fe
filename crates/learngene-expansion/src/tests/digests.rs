//! Results that must not change by a bit: those of the release before the crates were rebuilt
//! around one description of a model.

use std::{collections::BTreeMap, fmt::Write};

use learngene_tensors::{Result, StateDict};

use super::support::{Condensing, config, tiny, tiny_swin, whole};
use crate::{
    Descendant, DescendantConfig, ProjectionPolicy, auto_learngene, expand, from_scratch,
    heuristic_learngene, init::fnv1a, pretraining_finetuning, weight_selection,
    weight_transformation,
};

const VIT: [&str; 10] = [
    r#"{}"#,
    r#"{"classifier":"inherit"}"#,
    r#"{"depth":"6","layers":"even","heads":"5","order":"increasing"}"#,
    r#"{"heads":"2","order":"decreasing"}"#,
    r#"{"heads":"1"}"#,
    r#"{"heads":"x2","embed_dim":48}"#,
    r#"{"embed_dim":12,"mlp_ratio":"2","classifier":"inherit"}"#,
    r#"{"embed_dim":30,"mlp_ratio":"3"}"#,
    r#"{"depth":"5","new_layers":"identity","image_size":24,"num_classes":3,"seed":7}"#,
    r#"{"layers":"2,1,0","heads":"decrementing","order":"origin"}"#,
];

const SWIN: [&str; 9] = [
    r#"{}"#,
    r#"{"classifier":"inherit"}"#,
    r#"{"depth":"3,2","layers":"even","heads":"5","order":"increasing"}"#,
    r#"{"heads":"2","order":"decreasing"}"#,
    r#"{"heads":"1"}"#,
    r#"{"heads":"x2","embed_dim":24}"#,
    r#"{"embed_dim":6,"mlp_ratio":"2","classifier":"inherit"}"#,
    r#"{"embed_dim":15,"mlp_ratio":"3"}"#,
    r#"{"depth":"4,2","new_layers":"identity","image_size":32,"num_classes":3,"seed":7}"#,
];

/// For a family and a method the hash of its lines, one for each configuration: the configuration,
/// the hash of the parameters and the I-Params.
const DIGESTS: [(&str, &str, u64); 22] = [
    ("vit", "whole", 0xd2e81ce5b3942012),
    ("vit", "joined", 0x86a6edc076da782d),
    ("vit", "refitted", 0x6f2cc0cafd8e785f),
    ("vit", "origin", 0xa9f40f7454efcfae),
    ("vit", "centroid", 0xe89b57780dc0d77c),
    ("vit", "pretraining-finetuning", 0x1f8c63becf1652cb),
    ("vit", "heuristic-learngene", 0x83ce8699849995ca),
    ("vit", "auto-learngene", 0x9cbd7563528bb2e3),
    ("vit", "weight-transformation", 0xf67ab26b67002989),
    ("vit", "from-scratch", 0xd369acf7d06da876),
    ("vit", "weight-selection", 0x26372a5abace7a63),
    ("swin", "whole", 0xe5b04af528a52199),
    ("swin", "joined", 0xb0d0764e379c1caf),
    ("swin", "refitted", 0x0fa4a5389eb8362f),
    ("swin", "origin", 0xf6c2b052e257c153),
    ("swin", "centroid", 0x318547a1bc5b8ed6),
    ("swin", "pretraining-finetuning", 0xdc5afeac013da55e),
    ("swin", "heuristic-learngene", 0xe9210ff7ac8d5f49),
    ("swin", "auto-learngene", 0x2a10ef788d90bdb7),
    ("swin", "weight-transformation", 0xdc100e5d4b0c78e6),
    ("swin", "from-scratch", 0xb7341a27995b161b),
    ("swin", "weight-selection", 0x504ebbfb7cb81afd),
];

/// Hash of names, shapes and values.
fn digest(parameters: &StateDict) -> u64 {
    let bytes = parameters.iter().flat_map(|(name, tensor)| {
        let shape = tensor.shape.iter().flat_map(|length| (*length as u64).to_le_bytes());
        let values = tensor.values.iter().flat_map(|value| value.to_bits().to_le_bytes());
        name.bytes().chain(shape).chain(values)
    });
    fnv1a(bytes)
}

/// The lines of each method.
#[derive(Default)]
struct Lines(BTreeMap<String, String>);

impl Lines {
    fn put(&mut self, method: &str, text: &str, parameters: &StateDict, inherited: u64) {
        let lines = self.0.entry(method.into()).or_default();
        writeln!(lines, "{text} {:016x} {inherited}", digest(parameters)).expect("a string");
    }

    fn descendant(&mut self, method: &str, text: &str, descendant: Result<Descendant>) {
        let Descendant { parameters, inherited_parameters, .. } = descendant.expect(text);
        self.put(method, text, &parameters, inherited_parameters);
    }
}

#[test]
fn every_method_gives_the_values_that_it_gave() {
    let smaller = r#"{"depth":"1,1","heads":"1","embed_dim":5,"mlp_ratio":"1"}"#;
    for (family, ancestor, configs, smaller) in [
        ("vit", tiny(), &VIT[..], r#"{"depth":"2","heads":"1","embed_dim":12}"#),
        ("swin", tiny_swin(), &SWIN[..], smaller),
    ] {
        let mut lines = Lines::default();
        let (parameters, whole) = whole(&ancestor);
        let joined = Condensing::joined().condense(&ancestor, &parameters);
        let refitted = Condensing { refit: true, ..Condensing::joined() };
        let refitted = refitted.condense(&ancestor, &parameters);
        for text in configs {
            let config = config(text);
            let [origin, centroid] = [ProjectionPolicy::Origin, ProjectionPolicy::Centroid]
                .map(|policy| DescendantConfig { projection: Some(policy), ..config.clone() });
            for (method, learngene, config) in [
                ("whole", &whole, &config),
                ("joined", &joined, &config),
                ("refitted", &refitted, &config),
                ("origin", &joined, &origin),
                ("centroid", &joined, &centroid),
            ] {
                lines.descendant(method, text, expand(learngene, config));
            }
            let (of, shape) = (&parameters, &ancestor);
            for (method, descendant) in [
                ("pretraining-finetuning", pretraining_finetuning(of, shape, &config)),
                ("heuristic-learngene", heuristic_learngene(of, shape, Some(2), &config)),
                ("auto-learngene", auto_learngene(of, shape, Some(2), &config)),
                ("weight-transformation", weight_transformation(of, shape, None, &config)),
            ] {
                lines.descendant(method, text, descendant);
            }
            let shape = config.shape(&ancestor).expect(text);
            lines.put("from-scratch", text, &from_scratch(&shape, config.seed), 0);
        }
        for text in [smaller, r#"{"classifier":"inherit"}"#] {
            let selected = weight_selection(&parameters, &ancestor, &config(text));
            lines.descendant("weight-selection", text, selected);
        }
        for (_, method, expected) in DIGESTS.into_iter().filter(|(of, ..)| *of == family) {
            let lines = &lines.0[method];
            assert_eq!(fnv1a(lines.bytes()), expected, "{family}, {method}:\n{lines}");
        }
    }
}
