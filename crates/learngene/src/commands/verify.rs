//! `learngene verify`

use std::{fmt::Write, path::PathBuf};

use learngene_condensing::{HeadSource, InheritedHead, PartOrigin, Verification, verify};
use learngene_format::Learngene;
use serde::Serialize;

use crate::{
    args::{CheckpointArgs, Either, Nothing},
    text::{count, thousands},
};

/// Proves which heads of its ancestor a learngene holds, by comparing the bytes of tensors.
///
/// Hashes, shapes and finiteness of the file are checked in any case. With the ancestor's
/// checkpoint every part of every inherited head (query, key and value weights and biases,
/// projection columns) is looked for in all heads of the ancestor, and every other tensor is
/// compared with the ancestor's. Ends with 1 where anything is not what the manifest says.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene verify deit_base.learngene --checkpoint deit_base.pth",
    mut_arg("checkpoint", |model| model.long("checkpoint"))
)]
pub struct Args {
    /// The learngene.
    learngene: PathBuf,
    #[command(flatten)]
    ancestor: Either<CheckpointArgs, Nothing>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What was found, for people and programs.
#[derive(Serialize)]
struct Report {
    /// Whether all that was checked is in order.
    verified: bool,
    /// Tensors whose hashes, shapes and finiteness were checked.
    tensors: usize,
    /// Values in them.
    parameters: u64,
    /// The comparison with the ancestor; null without one.
    ancestor: Option<Verification>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let learngene = Learngene::read(&args.learngene)?;
    let ancestor = args.compare(&learngene)?;
    let report = Report {
        verified: ancestor.as_ref().is_none_or(Verification::is_verified),
        tensors: learngene.tensors().names().len(),
        parameters: learngene.manifest().parameters.stored,
        ancestor,
    };
    super::print(args.json, &report, describe)?;
    if !report.verified {
        let no = format!("{} is not what its manifest says", args.learngene.display());
        return Err(super::No(no).into());
    }
    Ok(())
}

impl Args {
    fn compare(&self, learngene: &Learngene) -> anyhow::Result<Option<Verification>> {
        let Some(ancestor) = self.ancestor.left() else { return Ok(None) };
        // Positions were interpolated to the learngene's image size, if to any.
        let image_size = learngene.manifest().ancestor.shape.image().size;
        let ancestor = ancestor.read(Some(image_size), None)?;
        Ok(Some(verify(learngene, &ancestor)?))
    }
}

fn describe(report: &Report) -> String {
    let mut text = format!(
        "file         {} tensors of {} values: hashes, shapes and finiteness are in order",
        report.tensors,
        thousands(report.parameters)
    );
    match &report.ancestor {
        Some(verification) => describe_ancestor(verification, &mut text),
        None => text.push_str(
            "\nancestor     not compared: pass --checkpoint to prove where the heads came from",
        ),
    }
    text
}

fn describe_ancestor(verification: &Verification, text: &mut String) {
    let mut line = |what: &str, is: String| {
        let _infallible = write!(text, "\n{what:12} {is}");
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
