//! `learngene inspect --against`: the heads of a learngene found in its ancestor.

use std::fmt::Write;

use learngene_checkpoints::Checkpoint;
use learngene_condensing::{HeadSource, InheritedHead, PartOrigin, Verification, verify};
use learngene_format::Learngene;

use crate::text::count;

/// Looks for every part of every inherited head (query, key and value weights and biases, projection
/// columns) in all heads of the ancestor, and compares every other tensor with the ancestor's.
pub fn run(learngene: &Learngene, ancestor: &Checkpoint, json: bool) -> anyhow::Result<()> {
    let report = verify(learngene, ancestor)?;
    super::super::print(json, &report, describe)?;
    match report.is_verified() {
        true => Ok(()),
        false => Err(super::super::No("the learngene is not what its manifest says".into()).into()),
    }
}

fn describe(verification: &Verification) -> String {
    let mut text = String::new();
    let mut line = |what: &str, is: String| {
        let _infallible = writeln!(text, "{what:12} {is}");
    };
    line(
        "ancestor",
        match verification.is_named_file {
            true => "the file that the manifest names".into(),
            false => "another file than the manifest names; its weights decide".into(),
        },
    );
    let layers = verification.heads.chunk_by(|left, right| left.layer == right.layer);
    for heads in layers {
        let layer = heads[0].layer;
        let sources: Vec<String> = heads.iter().map(|head| whole(head, layer)).collect();
        line(&format!("layer {layer}"), sources.join("  |  "));
        for head in heads.iter().filter(|head| !head.is_verified()) {
            let found = match head.source() {
                Some(source) => format!("it is {source}"),
                None => parts(head),
            };
            let (centroid, claimed) = (head.centroid, &head.claimed);
            line("", format!("centroid {centroid} should be {claimed}, but {found}"));
        }
    }
    let verified = verification.heads.iter().filter(|head| head.is_verified()).count();
    line(
        "heads",
        format!(
            "{verified} of {} came whole from where the manifest says",
            verification.heads.len()
        ),
    );
    let (same, differing) = (verification.shared.len(), &verification.differing);
    line(
        "others",
        format!("{same} of {} tensors are the ancestor's, byte for byte", same + differing.len()),
    );
    if !verification.refitted.is_empty() {
        let fitted = count(verification.refitted.len(), "tensor was", "tensors were");
        line("fitted", format!("{fitted} fitted to the ancestor's outputs and cannot be compared"));
    }
    if same > 0 && !differing.is_empty() {
        line("", format!("not the ancestor's: {}", differing.join(", ")));
    }
    text.trim_end().to_owned()
}

/// Where a head came from, as briefly as its layer allows.
fn whole(head: &InheritedHead, own_layer: usize) -> String {
    match head.source() {
        None => "not whole".into(),
        Some(HeadSource::Head { layer, head }) if *layer == own_layer => format!("head {head}"),
        Some(HeadSource::Average { layer, heads }) if *layer == own_layer => {
            let heads: Vec<String> = heads.iter().map(usize::to_string).collect();
            format!("average of heads {}", heads.join(" "))
        }
        Some(elsewhere) => elsewhere.to_string(),
    }
}

/// Which parts of a mixed head came from where.
fn parts(head: &InheritedHead) -> String {
    let mut sources: Vec<(Option<&HeadSource>, Vec<String>)> = Vec::new();
    for PartOrigin { part, source } in &head.parts {
        match sources.iter_mut().find(|(known, _)| *known == source.as_ref()) {
            Some((_, parts)) => parts.push(part.to_string()),
            None => sources.push((source.as_ref(), vec![part.to_string()])),
        }
    }
    if let [(None, _)] = sources[..] {
        return "no part of it is in this ancestor".into();
    }
    let described = sources.iter().map(|(source, parts)| match source {
        Some(source) => format!("{} are from {source}", parts.join(", ")),
        None => format!("{} are not in this ancestor", parts.join(", ")),
    });
    described.collect::<Vec<_>>().join("; ")
}
