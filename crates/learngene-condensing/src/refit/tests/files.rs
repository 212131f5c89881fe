//! What the file and `verify` tell of a fit.

use super::*;

#[test]
fn numbers_are_those_that_the_file_holds() {
    let mut ancestor = vit();
    ancestor.dtype = Dtype::F16;
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Own, 1e-2));
    assert!(refitted.tensors().values().all(|t| t.dtype() == format::Dtype::F16));
    for fit in fits(&refitted) {
        check_smaller(&fit.after, &fit.before);
    }
}

#[test]
fn the_manifest_tells_of_the_fit() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Own, 0.5));
    let record = record(&refitted);
    assert_eq!((record.inputs, record.ridge, record.images), (RefitInputs::Own, 0.5, 10));
    assert_eq!(record.images_sha256.to_string(), SHA256);
    assert_eq!(record.ffn, [None, None]);
    let bytes = refitted.to_bytes();
    assert_eq!(Learngene::from_bytes(&bytes).expect("a valid file"), refitted);
}

#[test]
fn refitted_tensors_are_reported_and_the_rest_is_verified() {
    for ancestor in ancestors() {
        let clusters = with_shared_ffns(&ancestor, Representative::Mean, FfnNorm::Representative);
        let learngene = condensed_as(&ancestor, &clusters);
        let params = RefitParams { target_heads: vec![1], ..params(RefitInputs::Own, 1e-2) };
        let learngene = refitted(&ancestor, &learngene, params);
        let verification = verify(&learngene, &ancestor).expect("of the same shape");
        assert!(verification.is_verified(), "{verification:?}");
        for name in [
            "ffn.0.fc2.weight",
            "ffn.0.fc2.bias",
            "layers.0.attn.proj.weight",
            "layers.0.attn.proj.bias",
            "layers.0.attn.proj.first.1.weight",
        ] {
            assert!(verification.refitted.iter().any(|refitted| refitted == name), "{name}");
        }
        assert!(verification.shared.iter().any(|name| name == "ffn.0.fc1.weight"));

        let forged = edited(&learngene, "layers.0.attn.v.bias", |values| values[0] += 0.5);
        assert!(!verify(&forged, &ancestor).expect("of the same shape").is_verified());
        let forged = edited(&learngene, "ffn.0.fc1.bias", |values| values[0] += 0.5);
        let verification = verify(&forged, &ancestor).expect("of the same shape");
        assert_eq!(verification.differing, ["ffn.0.fc1.bias"]);
    }
}

#[test]
fn columns_that_were_not_changed_are_still_verified() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 1e-6, Representative::Nearest);
    let learngene = refitted(&ancestor, &learngene, params(RefitInputs::Own, 1e-2));
    let verification = verify(&learngene, &ancestor).expect("of the same shape");
    assert!(verification.is_verified() && verification.refitted.is_empty());
    assert!(verification.heads.iter().all(|head| head.parts.len() == 7));
}
