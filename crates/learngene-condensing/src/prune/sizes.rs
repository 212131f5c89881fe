//! Sizes of layers that a number of parameters allows.

use learngene_format::centroid_shape;
use learngene_shape::{LayerSizes, Shape};
use learngene_tensors::{Error, Result};

use super::{Kept, Scores, first as first_of, sizes_of};
use crate::half::Half;

/// With fewer hidden units than this part of an FFN, heads are removed too.
const LEAST_UNITS: f64 = 0.2;

/// Parameters of the first layers of a model, cut to sizes.
fn count(whole: &Shape, sizes: &[LayerSizes]) -> Result<u64> {
    let layers: Vec<usize> = (0..sizes.len()).collect();
    Ok(centroid_shape(whole, &layers, |layer| sizes[layer])?.count_parameters())
}

/// The most of `1..=all` with which a model has at most so many parameters.
fn most_within(
    limit: u64,
    all: usize,
    mut count: impl FnMut(usize) -> Result<u64>,
) -> Result<Option<usize>> {
    let (mut fits, mut too_many) = (0, all + 1);
    while too_many - fits > 1 {
        let middle = usize::midpoint(fits, too_many);
        if count(middle)? <= limit {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    Ok((fits > 0).then_some(fits))
}

fn too_small(limit: u64, smallest: u64) -> Error {
    let expected = format!("at least {smallest}, which the smallest model has");
    Error::invalid("largest number of parameters", limit, expected)
}

/// A part of a number, but at least 1.
fn part(of: usize, kept: usize, all: usize) -> usize {
    (of * kept / all).max(1)
}

/// The same part of the hidden units of every layer, and of the heads where too few units would be left.
pub(super) fn same_part(whole: &Shape, limit: u64) -> Result<Vec<LayerSizes>> {
    let all = whole.layer_sizes();
    let heads = all.iter().map(|sizes| sizes.num_heads).max().unwrap_or(1);
    let units = all.iter().map(|sizes| sizes.hidden_dim).max().unwrap_or(1);
    let parts = |kept_heads: usize, kept_units: usize| -> Vec<LayerSizes> {
        let of_layer = |sizes: &LayerSizes| LayerSizes {
            num_heads: part(sizes.num_heads, kept_heads, heads),
            hidden_dim: part(sizes.hidden_dim, kept_units, units),
        };
        all.iter().map(of_layer).collect()
    };
    for kept_heads in (1..=heads).rev() {
        let kept = most_within(limit, units, |kept| count(whole, &parts(kept_heads, kept)))?;
        let Some(kept_units) = kept else { continue };
        if kept_heads == 1 || kept_units as f64 >= LEAST_UNITS * units as f64 {
            return Ok(parts(kept_heads, kept_units));
        }
    }
    Err(too_small(limit, count(whole, &parts(1, 1))?))
}

/// First layers, whole; of the next one as large a part of the heads and hidden units as fits, and the
/// hidden units for which there is room beside those heads.
pub(super) fn first(whole: &Shape, limit: u64) -> Result<Vec<LayerSizes>> {
    let all = whole.layer_sizes();
    let first_stages = whole.stages().last().map_or(0, |stage| stage.start);
    let cut = |depth: usize, num_heads: usize, hidden_dim: usize| {
        let mut sizes = all[..depth].to_vec();
        sizes[depth - 1] = LayerSizes { num_heads, hidden_dim };
        sizes
    };
    for depth in (first_stages + 1..=all.len()).rev() {
        let LayerSizes { num_heads, hidden_dim } = all[depth - 1];
        let heads = |units| part(num_heads, units, hidden_dim);
        let of_both = |units| count(whole, &cut(depth, heads(units), units));
        let Some(units) = most_within(limit, hidden_dim, of_both)? else { continue };
        let heads = heads(units);
        let more = most_within(limit, hidden_dim, |units| count(whole, &cut(depth, heads, units)))?;
        return Ok(cut(depth, heads, more.unwrap_or(units)));
    }
    Err(too_small(limit, count(whole, &cut(first_stages + 1, 1, 1))?))
}

/// The heads and hidden units of all layers with the highest scores for each of their parameters; of each
/// layer at least one of both.
pub(super) fn over_all(whole: &Shape, scores: &Scores, limit: u64) -> Result<Kept> {
    let least = vec![LayerSizes { num_heads: 1, hidden_dim: 1 }; whole.depth()];
    let mut spent = count(whole, &least)?;
    if spent > limit {
        return Err(too_small(limit, spent));
    }
    let mut all = Vec::new();
    let mut kept = first_of(&vec![LayerSizes { num_heads: 0, hidden_dim: 0 }; whole.depth()]);
    for layer in 0..whole.depth() {
        for half in Half::BOTH {
            let mut two = least.clone();
            match half {
                Half::Attention => two[layer].num_heads = 2,
                Half::Ffn => two[layer].hidden_dim = 2,
            }
            let cost = count(whole, &two)? - spent;
            let scores = &scores[layer][half as usize];
            let mut groups: Vec<usize> = (0..scores.len()).collect();
            groups.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
            kept[layer][half as usize].push(groups[0]);
            let rate = |group: usize| (scores[group] / cost as f64, cost, layer, half, group);
            all.extend(groups[1..].iter().map(|group| rate(*group)));
        }
    }
    all.sort_by(|one, other| other.0.total_cmp(&one.0));
    for (_, cost, layer, half, group) in all {
        if spent + cost <= limit {
            spent += cost;
            kept[layer][half as usize].push(group);
        }
    }
    kept.iter_mut().flatten().for_each(|groups| groups.sort_unstable());
    debug_assert_eq!(count(whole, &kept.iter().map(sizes_of).collect::<Vec<_>>())?, spent);
    Ok(kept)
}
