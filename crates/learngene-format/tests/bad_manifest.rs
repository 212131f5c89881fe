//! Every way in which the text of a manifest can be wrong has its own error, and none of them is a
//! panic.

mod common;

use common::{
    Forgery, changed, header_length, manifest_text, refusal, refusal_of, refusal_of_swin, tiny,
    tiny_swin,
};
use learngene_format::{Error, Learngene};
use serde_json::{Value, json};

#[test]
fn safetensors_without_a_manifest() {
    let forgery = Forgery::new();
    for metadata in [&[][..], &[("format", "pt")]] {
        assert!(matches!(refusal(&forgery.with_metadata(metadata)), Error::NotALearngene));
    }
}

#[test]
fn extra_metadata() {
    let text = manifest_text(&tiny().to_bytes());
    let bytes = Forgery::new().with_metadata(&[("learngene", &text), ("format", "pt")]);
    assert!(matches!(refusal(&bytes), Error::ExtraMetadata { keys } if keys == ["format"]));
}

#[test]
fn older_version() {
    let error = refusal_of(|forgery| {
        forgery.manifest["version"] = 1.into();
        let manifest = forgery.manifest.as_object_mut().expect("a manifest is an object");
        manifest.remove("ffn");
        manifest.remove("refit");
        manifest.insert("ffn_groups".to_owned(), json!([[0], [1]]));
        manifest["clustering"]["algorithm"]["eps"] = 0.25.into();
    });
    assert_eq!(
        error.to_string(),
        "manifest: found format version 1, but this program reads version 2 only"
    );
    assert!(matches!(error, Error::UnsupportedVersion { found: 1 }));
}

#[test]
fn newer_version() {
    let error = refusal_of(|forgery| {
        forgery.manifest["version"] = 3.into();
        forgery.manifest["something_new"] = true.into();
    });
    assert_eq!(
        error.to_string(),
        "manifest: found format version 3, but this program reads version 2 only"
    );
    assert!(matches!(error, Error::UnsupportedVersion { found: 3 }));
}

#[test]
fn newer_version_with_another_seal() {
    let bytes = Forgery::new().with_metadata(&[("learngene", r#"{"version":7}"#)]);
    assert!(matches!(refusal(&bytes), Error::UnsupportedVersion { found: 7 }));
}

#[test]
fn unsealed_manifest() {
    let forgery = Forgery::new();
    let text = forgery.manifest.to_string();
    let bytes = forgery.with_metadata(&[("learngene", &text)]);
    assert!(matches!(refusal(&bytes), Error::UnsealedManifest));
}

#[test]
fn edited_manifest() {
    let text = manifest_text(&tiny().to_bytes());
    let edited = text.replacen(r#""eps":[0.25,"#, r#""eps":[0.35,"#, 1);
    assert_ne!(text, edited);
    let bytes = Forgery::new().with_metadata(&[("learngene", &edited)]);
    assert!(matches!(refusal(&bytes), Error::ManifestChecksum { .. }));
}

#[test]
fn unknown_field_at_every_depth() {
    let everywhere = [
        "",
        "/architecture",
        "/ancestor",
        "/probe",
        "/probe/preprocessing",
        "/clustering",
        "/clustering/algorithm",
        "/layers/0",
        "/ffn",
        "/ffn/groups/0",
        "/parameters",
        "/tensors/norm.bias",
    ];
    for place in everywhere {
        check_unknown_field(&tiny(), place);
        check_unknown_field(&tiny_swin(), place);
    }
    for place in [
        "/ffn/algorithm",
        "/refit",
        "/refit/attention/0/0",
        "/refit/attention/0/0/fit",
        "/refit/attention/0/0/fit/before",
        "/refit/ffn/0",
        "/refit/ffn/0/after",
    ] {
        check_unknown_field(&tiny_swin(), place);
    }
}

#[track_caller]
fn check_unknown_field(learngene: &Learngene, place: &str) {
    let error = changed(learngene, |forgery| {
        let object = forgery.manifest.pointer_mut(place).expect("the place is there");
        object["surprise"] = 1.into();
    });
    assert!(matches!(error, Error::ManifestJson { .. }), "{place}: {error}");
    assert!(error.to_string().contains("unknown field `surprise`"), "{place}: {error}");
}

#[test]
fn missing_field() {
    for field in ["ffn", "layers", "classifier"] {
        let error = refusal_of(|forgery| {
            let manifest = forgery.manifest.as_object_mut().expect("a manifest is an object");
            manifest.remove(field);
        });
        assert!(error.to_string().contains(&format!("missing field `{field}`")), "{error}");
    }
}

/// What the JSON reader itself would overlook.
#[test]
fn null_left_out_and_unknown_field_of_a_mere_name() {
    let text = serde_json::to_string(tiny().manifest()).expect("a manifest is JSON");
    let none = r#"{"name":"none"}"#;
    for (part, instead) in [(r#""refit":null,"#, ""), (none, r#"{"name":"none","surprise":1}"#)] {
        let other = text.replacen(part, instead, 1);
        assert_ne!(text, other);
        let error = refusal(&Forgery::new().with_text(&other));
        assert!(matches!(error, Error::NotCanonical { .. }), "{instead}: {error}");
    }
}

#[test]
fn unknown_family() {
    let error = refusal_of(|forgery| forgery.manifest["architecture"]["family"] = "mamba".into());
    let wanted = "unknown variant `mamba`, expected `vit` or `swin`";
    assert!(error.to_string().contains(wanted), "{error}");
}

#[test]
fn fields_of_another_family() {
    for (learngene, family, field) in [(tiny(), "swin", "depth"), (tiny_swin(), "vit", "depths")] {
        let error = changed(&learngene, |forgery| {
            forgery.manifest["architecture"]["family"] = family.into();
        });
        assert!(error.to_string().contains(&format!("unknown field `{field}`")), "{error}");
    }
}

/// JSON has no word for them, so whatever stands there is no number.
#[test]
fn numbers_that_are_none() {
    for place in [
        "/ffn/algorithm/eps/1",
        "/clustering/algorithm/eps/0",
        "/refit/ridge",
        "/refit/attention/0/1/fit/after/relative",
        "/refit/ffn/0/before/worst_channel",
    ] {
        for value in [Value::Null, "NaN".into()] {
            let error = refusal_of_swin(|forgery| {
                *forgery.manifest.pointer_mut(place).expect("the place is there") = value;
            });
            assert!(matches!(error, Error::ManifestJson { .. }), "{place}: {error}");
        }
    }
}

/// One value of the manifest after the other is replaced by odd ones, with all checksums right. The
/// file is refused, or it is a learngene all the same; a panic would fail the test.
#[test]
fn odd_values_everywhere() {
    let odd = [
        Value::Null,
        (-1).into(),
        0.into(),
        3.into(),
        (1u64 << 24).into(),
        (1u64 << 63).into(),
        u64::MAX.into(),
        0.5.into(),
        1e308.into(),
        "".into(),
        json!([]),
        json!([0, 0, 0, 0]),
        json!({}),
    ];
    for learngene in [tiny(), tiny_swin()] {
        let whole = Forgery::of(&learngene).manifest;
        for place in places(&whole).iter().filter(|place| !place.starts_with("/tensors/")) {
            for value in &odd {
                let mut forgery = Forgery::of(&learngene);
                *forgery.manifest.pointer_mut(place).expect("just listed") = value.clone();
                let bytes = forgery.sealed();
                if let Ok(other) = Learngene::from_bytes(&bytes) {
                    assert_eq!(other.to_bytes(), bytes, "{place} of {value}");
                }
            }
        }
    }
}

/// Every value inside a JSON value, by its pointer.
fn places(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Array(values) => {
            values.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for (name, child) in children {
        found.extend(places(child).iter().map(|place| format!("/{name}{place}")));
        found.push(format!("/{name}"));
    }
    found
}

#[test]
fn another_spelling_of_the_same_content() {
    // Keys in another order, as any JSON library may write them.
    let forgery = Forgery::new();
    let mut fields: Vec<String> = forgery
        .manifest
        .as_object()
        .expect("a manifest is an object")
        .iter()
        .map(|(key, value)| format!("{key:?}:{value}"))
        .collect();
    fields.sort_by(|a, b| b.cmp(a));
    let bytes = forgery.with_text(&format!("{{{}}}", fields.join(",")));
    assert!(matches!(refusal(&bytes), Error::NotCanonical { .. }));

    // A tab where the padding is or, where there is none, eight spaces more.
    let bytes = tiny().to_bytes();
    let header = header_length(&bytes);
    let mut padded = ((header - 8 + 8) as u64).to_le_bytes().to_vec();
    padded.extend(&bytes[8..header]);
    padded.extend(b"       \t");
    padded.extend(&bytes[header..]);
    assert!(matches!(refusal(&padded), Error::NotCanonical { offset: 0 }));
}
