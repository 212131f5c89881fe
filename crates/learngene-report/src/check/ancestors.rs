//! Ancestors, their learngenes and attention maps.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Check, each, filled, length, magnitude, name, percent, positive, sha256, wanted};
use crate::data::{Ancestor, AttentionMap, Clusters, Learngene};

pub(super) fn check(ancestor: &Ancestor, place: &str) -> Check {
    let field = |field: &str| format!("{place}.{field}");
    name(&field("id"), &ancestor.id)?;
    filled(&field("name"), &ancestor.name)?;
    filled(&field("family"), &ancestor.family)?;
    sha256(&field("sha256"), &ancestor.sha256)?;
    positive(&field("embed_dim"), ancestor.embed_dim as u64)?;
    wanted(!ancestor.num_heads.is_empty(), field("num_heads"), "empty", "at least one layer")?;
    for (layer, &heads) in ancestor.num_heads.iter().enumerate() {
        positive(&field(&format!("num_heads[{layer}]")), heads as u64)?;
    }
    positive(&field("params"), ancestor.params)?;
    positive(&field("macs"), ancestor.macs)?;
    positive(&field("bytes"), ancestor.bytes)?;
    ancestor.top1.map_or(Ok(()), |top1| percent(&field("top1"), top1))?;
    check_learngene(&ancestor.learngene, &ancestor.num_heads, &field("learngene"))?;
    for (index, map) in ancestor.attention.iter().enumerate() {
        check_attention(map, &ancestor.num_heads, &field(&format!("attention[{index}]")))?;
    }
    Ok(())
}

fn check_learngene(learngene: &Learngene, num_heads: &[usize], place: &str) -> Check {
    let (field, depth) = (|field: &str| format!("{place}.{field}"), num_heads.len());
    sha256(&field("sha256"), &learngene.sha256)?;
    positive(&field("bytes"), learngene.bytes)?;
    positive(&field("stored_params"), learngene.stored_params)?;
    length(&field("eps"), learngene.eps.len(), depth, "layers")?;
    each(&field("eps"), &learngene.eps, magnitude)?;
    positive(&field("min_points"), learngene.min_points)?;
    positive(&field("images"), learngene.images)?;
    let convention = &*learngene.convention;
    let is_known = matches!(convention, "renormalized" | "published");
    let conventions = "`renormalized` or `published`";
    wanted(is_known, field("convention"), format!("`{convention}`"), conventions)?;
    for (what, values) in
        [("mean_attention_distance", &learngene.mean_attention_distance), ("std", &learngene.std)]
    {
        let field = field(what);
        length(&field, values.len(), depth, "layers")?;
        for (layer, (heads, &num_heads)) in values.iter().zip(num_heads).enumerate() {
            let field = format!("{field}[{layer}]");
            length(&field, heads.len(), num_heads, "heads")?;
            each(&field, heads, magnitude)?;
        }
    }
    length(&field("uniform"), learngene.uniform.len(), depth, "layers")?;
    each(&field("uniform"), &learngene.uniform, magnitude)?;
    length(&field("layers"), learngene.layers.len(), depth, "layers")?;
    for (layer, (clusters, &num_heads)) in learngene.layers.iter().zip(num_heads).enumerate() {
        check_clusters(clusters, num_heads, &field(&format!("layers[{layer}]")))?;
    }
    Ok(())
}

fn check_clusters(clusters: &Clusters, num_heads: usize, place: &str) -> Check {
    let Clusters { labels, sizes, representatives } = clusters;
    length(&format!("{place}.labels"), labels.len(), num_heads, "heads")?;
    let names: BTreeSet<usize> = labels.iter().flatten().copied().collect();
    length(&format!("{place}.representatives"), representatives.len(), names.len(), "clusters")?;
    length(&format!("{place}.sizes"), sizes.len(), names.len(), "clusters")?;

    let mut seen = BTreeSet::new();
    for (rank, (&representative, &size)) in representatives.iter().zip(sizes).enumerate() {
        let label = labels.get(representative).copied().flatten();
        let is_new = label.is_some_and(|label| seen.insert(label));
        let field = format!("{place}.representatives[{rank}]");
        wanted(is_new, field, representative, "one head of every cluster")?;
        let members = labels.iter().filter(|&&other| other == label).count();
        let field = format!("{place}.sizes[{rank}]");
        wanted(size == members, field, size, format!("{members}, the heads with its label"))?;
    }
    Ok(())
}

fn check_attention(map: &AttentionMap, num_heads: &[usize], place: &str) -> Check {
    let field = |field: &str| format!("{place}.{field}");
    filled(&field("model"), &map.model)?;
    if map.model == "ancestor" {
        let depth = num_heads.len();
        let below = |end: usize| format!("a number below {end}");
        wanted(map.layer < depth, field("layer"), map.layer, below(depth))?;
        let heads = num_heads[map.layer];
        wanted(map.head < heads, field("head"), map.head, below(heads))?;
    }
    positive(&field("tokens"), map.tokens as u64)?;
    let decoded = STANDARD.decode(&map.values);
    let bytes = decoded.as_ref().map_or_else(ToString::to_string, |b| format!("{} bytes", b.len()));
    // Squared as u128: a wrong number of tokens must not overflow.
    let squared = (map.tokens as u128).pow(2);
    let fits = decoded.is_ok_and(|bytes| bytes.len() as u128 == squared);
    wanted(fits, field("values"), bytes, format!("{squared} bytes in base64, tokens squared"))
}
