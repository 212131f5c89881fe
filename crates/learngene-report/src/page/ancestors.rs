//! What learngenes were condensed from, and how much smaller they are.

use std::fmt::{self, Write};

use super::facts;
use crate::{
    data::{Ancestor, Report},
    text::{Text, by_layer, count, share, short, thousands},
};

pub(super) fn write(out: &mut String, report: &Report) -> fmt::Result {
    if report.ancestors.is_empty() {
        return writeln!(out, "<p>No learngene was condensed.</p>");
    }
    for ancestor in &report.ancestors {
        write_one(out, ancestor)?;
    }
    Ok(())
}

fn write_one(out: &mut String, ancestor: &Ancestor) -> fmt::Result {
    let (learngene, id) = (&ancestor.learngene, &ancestor.id);
    let top1 = ancestor.top1.map_or(String::new(), |top1| format!(" Its top-1 is {top1} %."));
    writeln!(
        out,
        "<h3 id=\"ancestor-{id}\">{}</h3>\
         <p class=\"saw\"><strong>What it saw:</strong> {}.{top1} A model from scratch sees only the \
         training images of its experiment.</p>",
        Text(&ancestor.name),
        Text(ancestor.note.trim_end_matches('.')),
    )?;
    bars(out, ancestor)?;
    let shape = format!(
        "{}, {}, embed_dim {}, {} heads a layer; {} parameters, {} MACs an image",
        ancestor.family,
        count(ancestor.num_heads.len(), "layer", "layers"),
        thousands(ancestor.embed_dim as u64),
        by_layer(&ancestor.num_heads),
        thousands(ancestor.params),
        thousands(ancestor.macs),
    );
    let kept: usize = learngene.layers.iter().map(|layer| layer.sizes.len()).sum();
    let all: usize = ancestor.num_heads.iter().sum();
    let condensed = format!(
        "{kept} of {all} heads kept; eps = {} px, min_points = {}, {} (convention: {})",
        by_layer(&learngene.eps),
        learngene.min_points,
        count(learngene.images as usize, "image", "images"),
        learngene.convention,
    );
    writeln!(
        out,
        "<details><summary>Shape, settings and checksums of {}</summary>",
        Text(&ancestor.name)
    )?;
    facts(
        out,
        &[
            ("Shape", shape),
            ("Checkpoint's SHA-256", ancestor.sha256.clone()),
            ("Learngene", condensed),
            ("Learngene's SHA-256", learngene.sha256.clone()),
        ],
    )?;
    writeln!(out, "</details>")
}

/// Bytes and parameters of the learngene beside its ancestor's, as bars of that length.
fn bars(out: &mut String, ancestor: &Ancestor) -> fmt::Result {
    let learngene = &ancestor.learngene;
    writeln!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Size of {0}\">\
         <table class=\"sizes\"><caption>Size of the learngene beside {0}</caption><thead><tr>\
         <td></td><th scope=\"col\" class=\"n\">Ancestor</th>\
         <th scope=\"col\" class=\"n\">Learngene</th><th scope=\"col\" class=\"n\">Part</th></tr></thead><tbody>",
        Text(&ancestor.name),
    )?;
    for (what, unit, whole, part) in [
        ("File", "B", ancestor.bytes, learngene.bytes),
        ("Parameters", "", ancestor.params, learngene.stored_params),
    ] {
        let width = (100.0 * part as f64 / whole as f64).min(100.0);
        writeln!(
            out,
            "<tr><th scope=\"row\">{what}</th><td class=\"n\">{} <small>{}{unit}</small></td>\
             <td class=\"n\">{} <small>{}{unit}</small></td>\
             <td class=\"n\"><span class=\"meter\" style=\"--part:{width:.1}%\">{}</span></td></tr>",
            thousands(whole),
            short(whole),
            thousands(part),
            short(part),
            share(part, whole),
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}
