//! Every way in which a file's bytes or tensors can be wrong has its own error, and none of them is a
//! panic.

mod common;

use std::fs;

use common::{
    RawTensor, header_length, refusal, refusal_of, refusal_of_swin, tensors_of, tiny, tiny_manifest,
};
use learngene_format::{Dtype, Error, Learngene, Tensor};
use serde_json::{Value, json};

#[track_caller]
fn in_file<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, Error) {
    let error = result.expect_err("the file is wrong");
    let message = error.to_string();
    match error {
        Error::InFile { problem, .. } => (message, *problem),
        other => panic!("the path is not named: {other}"),
    }
}

#[test]
fn missing_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("no.learngene");
    for error in [in_file(Learngene::read(&path)), in_file(Learngene::read_manifest(&path))] {
        let (message, problem) = error;
        assert!(message.contains("no.learngene: cannot open: "), "{message}");
        assert!(matches!(problem, Error::Io { action: "open", .. }));
    }
}

#[test]
fn folder_in_place_of_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (message, problem) = in_file(Learngene::read(folder.path()));
    assert!(matches!(problem, Error::Io { .. }), "{message}");
}

#[test]
fn empty_file() {
    assert!(matches!(refusal(&[]), Error::Empty));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("empty.learngene");
    fs::write(&path, []).expect("the folder is ours");
    assert!(matches!(in_file(Learngene::read(&path)).1, Error::Empty));
}

#[test]
fn truncated_anywhere() {
    let bytes = tiny().to_bytes();
    for length in 1..bytes.len() {
        match refusal(&bytes[..length]) {
            Error::Truncated { found, wanted } => {
                assert_eq!(found, length as u64);
                assert!(wanted > found);
            }
            other => panic!("cut at {length}: {other}"),
        }
    }
}

#[test]
fn longer_than_its_header_says() {
    let mut bytes = tiny().to_bytes();
    bytes.push(0);
    let wanted = bytes.len() as u64 - 1;
    assert!(matches!(refusal(&bytes), Error::TrailingBytes { wanted: w, .. } if w == wanted));
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

#[test]
fn not_safetensors() {
    for bytes in [
        b"\x89PNG\r\n\x1a\n and some pixels".as_slice(),
        b"just a text that is long enough",
        &[0; 64],
        &[&2u64.to_le_bytes()[..], b"[]"].concat(),
        &[&4u64.to_le_bytes()[..], b"\xff\xfe{}"].concat(),
    ] {
        assert!(matches!(refusal(bytes), Error::NotSafetensors { .. }), "{bytes:?}");
    }
}

/// Sizes that a header only claims must not be allocated.
#[test]
fn huge_claims() {
    for claim in [u64::MAX, u64::MAX - 7, 1 << 40] {
        let bytes = [&claim.to_le_bytes()[..], b"{}"].concat();
        assert!(matches!(refusal(&bytes), Error::NotSafetensors { .. }), "{claim}");
    }
    let bytes = [&99_999_999u64.to_le_bytes()[..], b"{}"].concat();
    assert!(matches!(refusal(&bytes), Error::Truncated { wanted: 100_000_007, .. }));

    // Eight tensors of 2^61 - 4 bytes bring the claimed length near 2^64.
    let size = (1u64 << 61) - 4;
    let tensors: Vec<String> = (0..8)
        .map(|i| {
            let shape = size / 4;
            let (start, end) = (i * size, (i + 1) * size);
            format!(r#""{i}":{{"dtype":"F32","shape":[{shape}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", tensors.join(","));
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    assert!(matches!(refusal(&bytes), Error::Truncated { .. }));
}

#[test]
fn tensors_missing_and_unexpected() {
    let error = refusal_of(|forgery| {
        let tensor = forgery.tensors.remove("cls_token").expect("it was there");
        forgery.tensors.insert("dist_token".to_owned(), tensor);
        forgery.tensors.remove("norm.bias");
    });
    assert_eq!(error.to_string(), "tensors: missing cls_token, norm.bias; unexpected dist_token");
}

/// The tensors of one family, of one refit, and of one grouping are not those of another.
#[test]
fn tensors_of_another_manifest() {
    let error = refusal_of_swin(|forgery| forgery.manifest["refit"] = Value::Null);
    assert_eq!(
        error.to_string(),
        "tensors: unexpected layers.0.attn.proj.first.1.bias, layers.0.attn.proj.first.1.weight"
    );
    let error = refusal_of_swin(|forgery| {
        let tensor =
            forgery.tensors.remove("layers.1.attn.relative_position").expect("it is there");
        forgery.tensors.insert("pos_embed".to_owned(), tensor);
        forgery.tensors.remove("downsample.1.reduction.weight");
    });
    assert_eq!(
        error.to_string(),
        "tensors: missing downsample.1.reduction.weight, layers.1.attn.relative_position; \
         unexpected pos_embed"
    );
    let error = refusal_of(|forgery| {
        forgery.manifest["ffn"]["algorithm"]["name"] = "given".into();
        forgery.manifest["ffn"]["groups"] = json!([{"layers": [0, 1], "representative": 1}]);
    });
    assert_eq!(
        error.to_string(),
        "tensors: unexpected ffn.1.fc1.bias, ffn.1.fc1.weight, ffn.1.fc2.bias, ffn.1.fc2.weight"
    );
}

#[test]
fn tensor_list_of_the_manifest_differs() {
    let error = refusal_of(|forgery| {
        let entries = forgery.manifest["tensors"].as_object_mut().expect("an object");
        entries.remove("cls_token");
    });
    assert_eq!(error.to_string(), "manifest field `tensors`: missing cls_token");
}

#[test]
fn wrong_shape() {
    let error = refusal_of(|forgery| {
        let tensor = forgery.tensors.get_mut("ffn.0.fc1.weight").expect("it is there");
        tensor.shape.reverse();
    });
    assert_eq!(error.to_string(), "tensor `ffn.0.fc1.weight`: found shape [3, 4], wanted [4, 3]");
}

#[test]
fn wrong_dtype() {
    let error = refusal_of(|forgery| {
        let tensor = forgery.tensors.get_mut("norm.weight").expect("it is there");
        *tensor = RawTensor { dtype: safetensors::Dtype::I32, ..tensor.clone() };
    });
    assert_eq!(error.to_string(), "tensor `norm.weight`: found dtype I32, wanted f32");
}

#[test]
fn nan_and_infinity_in_a_file() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = refusal_of(|forgery| {
            let tensor = forgery.tensors.get_mut("pos_embed").expect("it is there");
            tensor.bytes[4 * 7..4 * 8].copy_from_slice(&value.to_le_bytes());
        });
        assert!(
            matches!(&error, Error::NonFinite { name, index: 7, .. } if name == "pos_embed"),
            "{error}"
        );
    }
}

#[test]
fn changed_tensor() {
    let mut bytes = tiny().to_bytes();
    let cls_token = header_length(&bytes);
    bytes[cls_token] ^= 1;
    let error = refusal(&bytes);
    assert!(matches!(&error, Error::TensorChecksum { name, .. } if name == "cls_token"), "{error}");
}

#[test]
fn wrong_parameter_count() {
    let error = refusal_of(|forgery| forgery.manifest["parameters"]["stored"] = 5.into());
    let wanted = tiny().manifest().parameters.stored;
    assert_eq!(
        error.to_string(),
        format!("manifest field `parameters.stored`: found 5, wanted {wanted}")
    );
}

#[test]
fn wrong_tensors_are_not_joined_to_a_manifest() {
    let manifest = tiny_manifest();
    let good = tensors_of(&manifest);
    let join = |name: &str, tensor: Option<Tensor>| {
        let mut tensors = good.clone();
        match tensor {
            Some(tensor) => tensors.insert(name.to_owned(), tensor),
            None => tensors.remove(name),
        };
        Learngene::new(manifest.clone(), tensors).expect_err("one tensor is wrong")
    };
    let tensor = |dtype, shape: &[usize], value| {
        let values = vec![value; shape.iter().product()];
        Some(Tensor::from_f32(dtype, shape.to_vec(), &values).expect("one value each"))
    };
    assert!(
        matches!(join("norm.bias", None), Error::TensorSet { missing, .. } if missing == ["norm.bias"])
    );
    assert!(matches!(
        join("extra", tensor(Dtype::F32, &[1], 0.0)),
        Error::TensorSet { unexpected, .. } if unexpected == ["extra"]
    ));
    assert!(matches!(
        join("norm.bias", tensor(Dtype::F32, &[4], 0.0)),
        Error::TensorShape { wanted, .. } if wanted == [3]
    ));
    assert!(matches!(
        join("norm.bias", tensor(Dtype::F16, &[3], 0.0)),
        Error::TensorDtype { wanted: Dtype::F32, .. }
    ));
    assert!(matches!(
        join("norm.bias", tensor(Dtype::F32, &[3], f32::NAN)),
        Error::NonFinite { index: 0, .. }
    ));
}

#[test]
fn places_that_cannot_be_written() {
    let learngene = tiny();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, b"x").expect("the folder is ours");
    let taken = folder.path().join("taken");
    fs::create_dir_all(taken.join("inside")).expect("the folder is ours");

    let mut paths = vec![
        folder.path().join("no/such/folder/x.learngene"),
        file.join("x.learngene"),
        taken.clone(),
    ];
    if cfg!(target_os = "linux") {
        // Not even the superuser makes files there.
        paths.push("/proc/x.learngene".into());
    }
    for path in paths {
        let (message, problem) = in_file(learngene.write(&path));
        assert!(matches!(problem, Error::Io { .. }), "{message}");
        assert!(message.starts_with(&path.display().to_string()), "{message}");
    }
}
