use std::collections::BTreeSet;

use learngene_shape::Vit;

use super::*;

const DIALECTS: [Dialect; 3] = [Dialect::Timm, Dialect::Official, Dialect::HuggingFace];

fn check(family: &str, dialect: Dialect, timm: &str, want: &[&str]) {
    let is_of = |one: &&Spelling| one.family == family && one.dialect == dialect;
    let spelling = SPELLINGS.iter().find(is_of).expect("a spelling of this family");
    let names = Names { spelling, is_prefixed: true };
    assert_eq!(names.stored(timm).collect::<Vec<_>>(), want);
    for stored in want {
        assert_eq!(names.timm(stored).as_deref(), Some(timm));
    }
}

#[test]
fn a_vit_s_names_follow_transformers() {
    let check = |timm, want: &[&str]| check(Vit::KEY, Dialect::HuggingFace, timm, want);
    check("patch_embed.proj.bias", &["vit.embeddings.patch_embeddings.projection.bias"]);
    check("head.weight", &["classifier.weight"]);
    check("blocks.10.mlp.fc2.bias", &["vit.encoder.layer.10.output.dense.bias"]);
    check(
        "blocks.0.attn.qkv.weight",
        &[
            "vit.encoder.layer.0.attention.attention.query.weight",
            "vit.encoder.layer.0.attention.attention.key.weight",
            "vit.encoder.layer.0.attention.attention.value.weight",
        ],
    );
}

#[test]
fn tokens_merge_at_the_end_of_a_stage_in_the_names_of_others() {
    let norm = "layers.3.downsample.norm.bias";
    check(Swin::KEY, Dialect::Official, norm, &["layers.2.downsample.norm.bias"]);
    let hugging_face = "swin.encoder.layers.2.downsample.norm.bias";
    check(Swin::KEY, Dialect::HuggingFace, norm, &[hugging_face]);
    check(Swin::KEY, Dialect::Official, "head.fc.bias", &["head.bias"]);
}

#[test]
fn query_key_and_value_split_the_rows_by_role() {
    let shape = Vit::uniform(48, 1, 3).shape().expect("possible");
    let names = Names::written(Dialect::HuggingFace, &shape).expect("it has names");
    let parts = names.parts("blocks.0.attn.qkv.bias", 144);
    let rows: Vec<_> = parts.into_iter().map(|part| part.rows).collect();
    assert_eq!(rows, [0..48, 48..96, 96..144]);
}

/// Names of every dialect lead back to the parameters: no two share one, and the names alone give
/// the dialect, the family and the layers.
#[test]
fn the_names_of_every_preset_lead_back() {
    let shapes = Shape::presets().flat_map(|(_, shape)| {
        [shape.with_num_classes(0).expect("a backbone"), shape.with_num_classes(9).expect("few")]
    });
    for (shape, dialect) in shapes.flat_map(|shape| DIALECTS.map(|one| (shape.clone(), one))) {
        let Ok(names) = Names::written(dialect, &shape) else {
            assert_eq!((shape.family(), dialect), (Vit::KEY, Dialect::Official));
            continue;
        };
        let mut stored = BTreeSet::new();
        for timm in shape.parameter_shapes().into_keys() {
            for name in names.stored(&timm) {
                assert_eq!(names.timm(&name).as_ref(), Some(&timm), "{dialect:?}");
                assert!(dialect != Dialect::HuggingFace || name != timm, "{timm} has no row");
                assert!(stored.insert(name), "{dialect:?}: {timm}");
            }
        }
        assert_eq!(names.stored_shapes(&shape).len(), stored.len(), "{dialect:?}");

        let stored = || stored.iter().map(String::as_str);
        let found = Names::recognise(stored()).expect("a known spelling");
        assert_eq!((found.dialect(), found.family()), (dialect, shape.family()));
        assert_eq!(found.stored_shapes(&shape), names.stored_shapes(&shape));
        let depths: Vec<usize> = shape.stages().iter().map(Range::len).collect();
        assert_eq!(found.depths(stored().collect::<Vec<_>>().into_iter()), depths, "{dialect:?}");
    }
}

#[test]
fn a_number_beyond_the_file_adds_no_stage_and_no_layer() {
    let shape = Swin::swin_tiny().shape().expect("a preset");
    let names = Names::written(Dialect::Official, &shape).expect("it has names");
    let stored = [
        "layers.0.blocks.0.norm1.bias".into(),
        format!("layers.{}.downsample.norm.bias", usize::MAX),
        format!("layers.0.blocks.{}.norm1.bias", usize::MAX),
    ];
    assert_eq!(names.depths(stored.iter().map(String::as_str)), [1]);
}
