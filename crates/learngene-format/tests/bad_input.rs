//! Whatever is wrong with a file's bytes, its tensors or the text of its manifest is refused with a
//! message that names it, and none of it is a panic.

mod common;

use std::{fs, path::Path};

use common::{
    Forgery, RawTensor, check_changed, check_refused, header_length, manifest_text, tensors_of,
    tiny, tiny_manifest, tiny_of, tiny_swin,
};
use learngene_format::{Clusters, Distances, Learngene, Manifest, Store};
use learngene_tensors::Tensor;
use serde_json::{Value, json};

#[test]
fn messages_name_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refused = |name: &str, read: &dyn Fn(&Path) -> String| {
        let path = folder.path().join(name);
        let message = read(&path);
        assert!(message.contains(&path.display().to_string()), "{message}");
        message.replace(&path.display().to_string(), "FILE")
    };
    let learngene = |path: &Path| Learngene::read(path).expect_err("refused").to_string();
    let manifest = |path: &Path| Learngene::read_manifest(path).expect_err("refused").to_string();
    let distances = |path: &Path| Distances::read(path).expect_err("refused").to_string();
    let clusters = |path: &Path| Clusters::read(path).expect_err("refused").to_string();
    let write = |path: &Path| tiny().write(path).expect_err("refused").to_string();
    assert!(refused("missing", &learngene).starts_with("cannot read FILE: "));
    assert!(refused("missing", &clusters).starts_with("cannot read FILE: "));
    assert!(refused("no/folder/a", &write).starts_with("cannot write FILE: "));

    fs::write(folder.path().join("short"), b"abc").expect("the folder is ours");
    let message = "FILE: found 3 bytes, expected a safetensors file";
    assert_eq!(refused("short", &learngene), message);
    assert_eq!(refused("short", &manifest), message);

    let mut edited = tiny_manifest().clusters;
    edited.write(folder.path().join("clusters")).expect("the folder is ours");
    let message = refused("clusters", &distances);
    assert_eq!(
        message,
        "FILE: found JSON of another kind, expected distances from `learngene probe`"
    );
    edited.heads.layers[0].sizes[0] = 3;
    fs::write(folder.path().join("edited"), serde_json::to_string(&edited).expect("JSON"))
        .expect("the folder is ours");
    let message = "FILE: layer 0: sizes: found [3,1], expected [2,1], by the labels";
    assert_eq!(refused("edited", &clusters), message);
    let write = |path: &Path| edited.write(path).expect_err("not to be written").to_string();
    assert_eq!(refused("other", &write), message);
}

#[test]
fn files_cut_short_or_too_long() {
    let bytes = tiny().to_bytes();
    for length in 0..bytes.len() {
        assert!(Learngene::from_bytes(&bytes[..length]).is_err(), "cut at {length}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    let message = format!("found {} bytes, expected {} bytes", longer.len(), bytes.len());
    let error = Learngene::from_bytes(&longer).expect_err("one byte too many").to_string();
    assert!(error.ends_with(&message), "{error}");
}

/// Every byte of the header and of the tensors is under a checksum or has only one spelling.
#[test]
fn a_flipped_bit_anywhere() {
    let bytes = tiny().to_bytes();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            let read = Learngene::from_bytes(&damaged);
            assert!(read.is_err(), "bit {bit} of byte {position} was flipped and not noticed");
        }
    }
}

/// Sizes that a header only claims must not be allocated.
#[test]
fn huge_claims() {
    for claim in [u64::MAX, u64::MAX - 7, 1 << 40, 99_999_999] {
        let bytes = [&claim.to_le_bytes()[..], b"{}"].concat();
        check_refused(&bytes, "header: found a length of");
    }
    for place in ["embed_dim", "image_size", "in_channels", "num_classes", "head_dim"] {
        let place = format!("/ancestor/shape/{place}");
        check_changed(&tiny(), "manifest: found ", |forgery| {
            *forgery.manifest.pointer_mut(&place).expect("it is there") = usize::MAX.into();
        });
    }
}

#[test]
fn other_safetensors_files() {
    let forgery = Forgery::of(&tiny());
    for metadata in [&[][..], &[("format", "pt")]] {
        let message = "found no `learngene` in the metadata, expected a .learngene file";
        let bytes = forgery.with_metadata(metadata);
        let error = Learngene::from_bytes(&bytes).expect_err("a checkpoint").to_string();
        assert!(error.ends_with(message), "{error}");
    }
}

#[test]
fn other_versions_are_named_first() {
    for version in [1, 4, 6] {
        let message = format!("format version: found {version}, expected 5, the only one");
        let text = format!(r#"{{"version":{version},"anything":[]}}"#);
        let bytes = Forgery::of(&tiny()).with_metadata(&[("learngene", &text)]);
        check_refused(&bytes, &message);
    }
}

#[test]
fn unsealed_and_edited_manifests() {
    let forgery = Forgery::of(&tiny());
    let bytes = forgery.with_metadata(&[("learngene", &forgery.manifest.to_string())]);
    check_refused(&bytes, "manifest: found no checksum");
    let text = manifest_text(&tiny().to_bytes());
    let edited = text.replacen(r#""eps":[0.25,"#, r#""eps":[0.35,"#, 1);
    assert_ne!(text, edited);
    check_refused(&forgery.with_metadata(&[("learngene", &edited)]), "checksum of the manifest");
}

#[test]
fn other_tensors() {
    let check = |message: &str, change: fn(&mut Forgery)| check_changed(&tiny(), message, change);
    let message = "the parameters do not fit the model; missing: cls_token, norm.bias; unused: x";
    check(message, |forgery| {
        let tensor = forgery.tensors.remove("cls_token").expect("it was there");
        forgery.tensors.insert("x".into(), tensor);
        forgery.tensors.remove("norm.bias");
    });
    let name = "blocks.0.mlp.fc1.weight";
    let message =
        format!("the parameters do not fit the model; wrong shape: {name} is [3, 4], expected");
    check_changed(&tiny(), &message, |forgery| {
        forgery.tensors.get_mut(name).expect("it is there").shape.reverse();
    });
    check("header: found another byte at", |forgery| {
        let tensor = forgery.tensors.get_mut("norm.weight").expect("it is there");
        *tensor = RawTensor { dtype: safetensors::Dtype::I32, ..tensor.clone() };
    });
    check("tensors of the manifest: found other names", |forgery| {
        forgery.manifest["tensors"].as_object_mut().expect("an object").remove("cls_token");
    });
    check("stored parameters: found 5, expected", |forgery| {
        forgery.manifest["parameters"]["stored"] = 5.into();
    });
    check("pos_embed: found NaN at index 7", |forgery| {
        let tensor = forgery.tensors.get_mut("pos_embed").expect("it is there");
        tensor.bytes[4 * 7..4 * 8].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let mut bytes = tiny().to_bytes();
    let first = header_length(&bytes);
    bytes[first] ^= 1;
    check_refused(&bytes, "checksum of blocks.0.attn.proj.bias: found ");
}

/// Of a file in few bits.
#[test]
fn levels_and_scales() {
    let (int8, int4) = (tiny_of(Store::Int8), tiny_of(Store::Int4));
    let name = "layers.0.blocks.0.attn.qkv.weight";
    let scale = format!("{name}.scale");
    let check_bytes =
        |learngene: &Learngene, name: &str, at: usize, bytes: &[u8], message: &str| {
            check_changed(learngene, message, |forgery| {
                let tensor = forgery.tensors.get_mut(name).expect("it is there");
                tensor.bytes[at..at + bytes.len()].copy_from_slice(bytes);
            });
        };
    check_bytes(&int8, name, 5, &[128], &format!("{name}: found -128 at index 5, expected levels"));
    let message = format!("scales of {name}: found inf at index 1, expected finite values");
    check_bytes(&int4, &scale, 2, &[0, 0x7c], &message);
    // The fifth row of an FFN of three hidden units.
    let odd = "layers.1.blocks.0.mlp.fc1.weight";
    let message = format!("{odd}: found a row beyond the last, expected zeros there");
    check_bytes(&int4, odd, 7, &[0x18], &message);
    check_changed(&int8, "the parameters do not fit the model; missing: ", |forgery| {
        forgery.tensors.remove(&scale);
    });
    let message = format!("the parameters do not fit the model; wrong shape: {scale} is [12, 1],");
    check_changed(&int8, &message, |forgery| {
        forgery.tensors.get_mut(&scale).expect("it is there").shape.push(1);
    });
    // Unsigned levels are another number format.
    check_changed(&int8, "header: found another byte at", |forgery| {
        forgery.tensors.get_mut(name).expect("it is there").dtype = safetensors::Dtype::U8;
    });
    check_changed(
        &int8,
        "manifest: found JSON that does not fit (unknown variant `int2`",
        |forgery| {
            forgery.manifest["store"] = "int2".into();
        },
    );
    let mut bytes = int4.to_bytes();
    *bytes.last_mut().expect("not empty") ^= 1;
    check_refused(&bytes, "checksum of layers.1.blocks.0.mlp.fc2.weight: found ");

    let manifest = Manifest { store: Store::Int8, ..tiny_manifest() };
    let mut tensors = tensors_of(&manifest);
    let large = Tensor::new([3, 4], vec![1e8; 12]);
    tensors.insert("blocks.0.attn.proj.weight", large);
    let refused = Learngene::new(manifest, tensors).expect_err("too large").to_string();
    assert!(refused.starts_with("scales of blocks.0.attn.proj.weight: found inf"), "{refused}");
}

#[test]
fn wrong_tensors_are_not_joined_to_a_manifest() {
    let join = |name: &str, tensor: Tensor| {
        let manifest = tiny_manifest();
        let mut tensors = tensors_of(&manifest);
        tensors.insert(name, tensor);
        Learngene::new(manifest, tensors).expect_err("one tensor is wrong").to_string()
    };
    assert!(join("extra", Tensor::zeros([1])).ends_with("unused: extra"));
    assert!(join("norm.bias", Tensor::zeros([4])).contains("norm.bias is [4], expected [3]"));
    let infinite = Tensor::new([3], vec![0.0, f32::INFINITY, 0.0]);
    assert!(join("norm.bias", infinite).starts_with("norm.bias: found inf at index 1"));
}

#[test]
fn unknown_and_missing_fields() {
    for (learngene, places) in [
        (tiny(), &["", "/ancestor", "/ancestor/shape", "/parameters", "/tensors/norm.bias"][..]),
        (tiny(), &["/distances", "/distances/preprocessing", "/clusters", "/clusters/heads"]),
        (tiny(), &["/clusters/heads/algorithm", "/clusters/heads/layers/0", "/clusters/ffn"]),
        (tiny_swin(), &["/clusters/ffn/algorithm", "/clusters/ffn/groups/0", "/refit"]),
        (tiny_swin(), &["/refit/layers/0", "/refit/layers/0/ffn", "/refit/layers/0/ffn/after"]),
    ] {
        for place in places {
            let mut forgery = Forgery::of(&learngene);
            let object = forgery.manifest.pointer_mut(place).expect("the place is there");
            object["surprise"] = 1.into();
            let error = Learngene::from_bytes(&forgery.sealed()).expect_err("refused").to_string();
            assert!(error.contains("unknown field `surprise`"), "{place}: {error}");
        }
    }
    for field in ["clusters", "distances", "classifier"] {
        let message = format!("manifest: found JSON that does not fit (missing field `{field}`");
        check_changed(&tiny(), &message, |forgery| {
            forgery.manifest.as_object_mut().expect("a manifest is an object").remove(field);
        });
    }
}

/// What the JSON reader itself would overlook, and other spellings of the same content.
#[test]
fn other_spellings() {
    let forgery = Forgery::of(&tiny());
    let text = serde_json::to_string(tiny().manifest()).expect("a manifest is JSON");
    for (part, instead) in [
        (r#""refit":null,"#, ""),
        (r#"{"name":"none"}"#, r#"{"name":"none","surprise":1}"#),
        (r#""images":2,"#, r#""images": 2,"#),
        (
            r#""version":5,"producer":"learngene 0.1.0","#,
            r#""producer":"learngene 0.1.0","version":5,"#,
        ),
    ] {
        let other = text.replacen(part, instead, 1);
        assert_ne!(text, other);
        check_refused(&forgery.with_text(&other), "header: found another byte at");
    }
    let text = manifest_text(&tiny().to_bytes());
    let more = forgery.with_metadata(&[("learngene", &text), ("format", "pt")]);
    check_refused(&more, "header: found another byte at");

    // A tab where the padding is or, where there is none, eight bytes more.
    let bytes = tiny().to_bytes();
    let header = header_length(&bytes);
    let mut padded = ((header - 8 + 8) as u64).to_le_bytes().to_vec();
    padded.extend(&bytes[8..header]);
    padded.extend(b"       \t");
    padded.extend(&bytes[header..]);
    check_refused(&padded, "header: found another byte at 0");
}

/// One value of the manifest after the other is replaced by odd ones, with all checksums right. The
/// file is refused, or it is a learngene all the same; a panic would fail the test.
#[test]
fn odd_values_everywhere() {
    let large = [1 << 24, 1 << 63, u64::MAX];
    let odd = [json!(null), json!(-1), json!(0), json!(3), json!(0.5), json!(1e308), json!("")];
    let lists = [json!([]), json!([0, 0, 0, 0]), json!({})];
    let odd: Vec<Value> = odd.into_iter().chain(large.map(Value::from)).chain(lists).collect();
    for learngene in [tiny(), tiny_swin(), tiny_of(Store::Int4)] {
        let whole = Forgery::of(&learngene);
        let places = places(&whole.manifest);
        for place in places.iter().filter(|place| !place.starts_with("/tensors/")) {
            for value in &odd {
                let mut forgery = whole.clone();
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
