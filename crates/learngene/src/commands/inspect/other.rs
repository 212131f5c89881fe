//! Files that are neither a learngene nor the description of a descendant.

use serde_json::Value;

/// Fields by which JSON files of this and other programs are known, and which command reads them.
const JSON: [(&str, &str); 9] = [
    (
        "mean_attention_distance",
        "distances of `learngene probe`: `condense --distances` reads them",
    ),
    ("heads", "clusters of `learngene cluster`: `condense --clusters` reads them"),
    ("experiments", "a report: `learngene report` draws it"),
    (
        "model_sha256",
        "the identity of a training run: `learngene train` resumes it from its folder",
    ),
    ("image_mean", "how a checkpoint's images are prepared, read with the checkpoint beside it"),
    ("architecture", "the configuration of a checkpoint, read with the checkpoint beside it"),
    ("architectures", "the configuration of a checkpoint, read with the checkpoint beside it"),
    ("model_type", "the configuration of a checkpoint, read with the checkpoint beside it"),
    ("embed_dim", "the shape of a model: `learngene train --config` reads it"),
];

/// What a JSON file is, if it is none that `expand` writes.
pub(super) fn json(text: &[u8]) -> Option<&'static str> {
    let value: Value = serde_json::from_slice(text).ok()?;
    if value.pointer("/0/tokens").is_some() {
        return Some("attention maps of `learngene inspect --attention`: a report takes them");
    }
    // Where a description is damaged, its own fault says more.
    if value.get("method").is_some() || value.get("inherited_parameters").is_some() {
        return None;
    }
    JSON.into_iter().find(|(field, _)| value.get(field).is_some()).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Option<&str>) {
        let found = json(text.as_bytes());
        assert!(
            found.map_or(want.is_none(), |found| want.is_some_and(|want| found.contains(want))),
            "{text}: {found:?}"
        );
    }

    #[test]
    fn files_of_other_commands_are_known() {
        check(r#"{"mean_attention_distance": [[1]], "std": null}"#, Some("condense --distances"));
        check(r#"{"version": 2, "experiments": []}"#, Some("learngene report"));
        check(r#"{"embed_dim": 8, "num_heads": [2]}"#, Some("train --config"));
        check(r#"{"model_type": "vit"}"#, Some("configuration of a checkpoint"));
        check(r#"[{"layer": 0, "tokens": 17}]"#, Some("inspect --attention"));
    }

    #[test]
    fn what_is_damaged_or_of_nobody_is_not() {
        check(r#"{"method": "cluster-learngene", "parameters": 7}"#, None);
        check(r#"{"colour": "red"}"#, None);
        check("{", None);
    }
}
