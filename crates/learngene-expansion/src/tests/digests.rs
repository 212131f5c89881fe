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
    r#"{"heads":"w=1/2","embed_dim":48}"#,
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
    r#"{"heads":"w=1/2","embed_dim":24}"#,
    r#"{"embed_dim":6,"mlp_ratio":"2","classifier":"inherit"}"#,
    r#"{"embed_dim":15,"mlp_ratio":"3"}"#,
    r#"{"depth":"4,2","new_layers":"identity","image_size":32,"num_classes":3,"seed":7}"#,
];

/// For a family and a method the hash of its lines, one for each configuration: the configuration,
/// the hash of the parameters and the I-Params.
const DIGESTS: [(&str, &str, u64); 22] = [
    ("vit", "whole", 0x9aecb5bda4e0c570),
    ("vit", "joined", 0xd211d28a091a1947),
    ("vit", "refitted", 0x3de2292f46e6adb5),
    ("vit", "origin", 0xc56f3cf67ccef75e),
    ("vit", "centroid", 0x49c5401c7c05c7c2),
    ("vit", "pretraining-finetuning", 0x2ba9a5015c70b0db),
    ("vit", "heuristic-learngene", 0x760923578586634a),
    ("vit", "auto-learngene", 0x851fde00f8c1f891),
    ("vit", "weight-transformation", 0xb5fc7b448c4c6259),
    ("vit", "from-scratch", 0x0b9c2d609dea3428),
    ("vit", "weight-selection", 0x26372a5abace7a63),
    ("swin", "whole", 0x356d6575a4a5789b),
    ("swin", "joined", 0xfde093b62e1f8d5b),
    ("swin", "refitted", 0xed2348a2e3f3d2b5),
    ("swin", "origin", 0xaa56083720651bf9),
    ("swin", "centroid", 0x819dadd6dafb6868),
    ("swin", "pretraining-finetuning", 0xac3cc9d1ee1b425c),
    ("swin", "heuristic-learngene", 0x3e581f049a679b9b),
    ("swin", "auto-learngene", 0xc11938087700d7c7),
    ("swin", "weight-transformation", 0xfa82e047a73ef418),
    ("swin", "from-scratch", 0x37eb78d9693b3dd1),
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
