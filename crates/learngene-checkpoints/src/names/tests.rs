use std::collections::BTreeSet;

use super::*;
use crate::{SwinConfig, VitConfig};

fn check(family: Family, dialect: Dialect, timm: &str, want: &[&str]) {
    assert_eq!(Names { family, dialect, prefixed: true }.stored(timm), want);
}

#[test]
fn a_vit_s_names_follow_transformers() {
    let check = |timm, want: &[&str]| check(Family::Vit, Dialect::HuggingFace, timm, want);
    check("cls_token", &["vit.embeddings.cls_token"]);
    check("patch_embed.proj.bias", &["vit.embeddings.patch_embeddings.projection.bias"]);
    check("norm.weight", &["vit.layernorm.weight"]);
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
fn a_swin_s_names_follow_transformers() {
    let check = |timm, want: &[&str]| check(Family::Swin, Dialect::HuggingFace, timm, want);
    check("patch_embed.norm.bias", &["swin.embeddings.norm.bias"]);
    check("norm.weight", &["swin.layernorm.weight"]);
    check("head.fc.weight", &["classifier.weight"]);
    check("layers.1.downsample.norm.bias", &["swin.encoder.layers.0.downsample.norm.bias"]);
    check(
        "layers.2.blocks.17.mlp.fc1.bias",
        &["swin.encoder.layers.2.blocks.17.intermediate.dense.bias"],
    );
    check(
        "layers.0.blocks.1.attn.relative_position_bias_table",
        &["swin.encoder.layers.0.blocks.1.attention.self.relative_position_bias_table"],
    );
    check(
        "layers.0.blocks.0.attn.qkv.bias",
        &[
            "swin.encoder.layers.0.blocks.0.attention.self.query.bias",
            "swin.encoder.layers.0.blocks.0.attention.self.key.bias",
            "swin.encoder.layers.0.blocks.0.attention.self.value.bias",
        ],
    );
}

#[test]
fn official_names_merge_tokens_at_the_end_of_a_stage() {
    let check = |timm, want: &[&str]| check(Family::Swin, Dialect::Official, timm, want);
    check("layers.3.downsample.reduction.weight", &["layers.2.downsample.reduction.weight"]);
    check("head.fc.bias", &["head.bias"]);
    check("layers.0.blocks.0.attn.qkv.bias", &["layers.0.blocks.0.attn.qkv.bias"]);
}

#[test]
fn query_key_and_value_split_the_rows_by_role() {
    let config = VitConfig::uniform(48, 1, 3).into();
    let names = Names::written(Dialect::HuggingFace, &config);
    let parts = names.parts("blocks.0.attn.qkv.bias", 144);
    let rows: Vec<_> = parts.into_iter().map(|part| part.rows).collect();
    assert_eq!(rows, [0..48, 48..96, 96..144]);
}

/// Names of every dialect lead back to the parameters: no two share one, and the names alone tell
/// the dialect, the family and the layers.
#[test]
fn the_names_of_every_preset_lead_back() {
    let dialects = [Dialect::Timm, Dialect::Official, Dialect::HuggingFace];
    let presets = ModelConfig::presets().filter_map(ModelConfig::preset);
    for config in presets.flat_map(|config| [config.clone().with_num_classes(0), config]) {
        for dialect in dialects {
            if matches!(config, ModelConfig::Vit(_)) && dialect == Dialect::Official {
                continue;
            }
            let names = Names::written(dialect, &config);
            let timm = config.parameter_shapes();
            let stored: Vec<String> = timm.keys().flat_map(|name| names.stored(name)).collect();
            let unique: BTreeSet<&str> = stored.iter().map(String::as_str).collect();
            assert_eq!(unique.len(), stored.len(), "{dialect:?}");
            assert_eq!(names.stored_shapes(&config).len(), stored.len(), "{dialect:?}");

            let found = Names::recognise(Path::new("x"), unique.iter().copied());
            assert_eq!(found.expect("a known spelling"), names);
            let depths: Vec<usize> = config.stages().iter().map(Range::len).collect();
            assert_eq!(names.depths(unique.into_iter()), depths, "{dialect:?}");
            let classifier = stored.iter().filter(|name| names.is_classifier(name)).count();
            assert_eq!(classifier, 2 * usize::from(config.num_classes() > 0));
        }
    }
}

#[test]
fn an_index_beyond_the_file_adds_no_stage_and_no_layer() {
    let config = SwinConfig::swin_tiny().into();
    let names = Names::written(Dialect::Official, &config);
    let keys = [
        "layers.0.blocks.0.norm1.bias".into(),
        format!("layers.{}.downsample.norm.bias", usize::MAX),
        format!("layers.0.blocks.{}.norm1.bias", usize::MAX),
    ];
    assert_eq!(names.depths(keys.iter().map(String::as_str)), [1]);
}
