use std::{fmt, ops::Range, str::FromStr};

use learngene_tensors::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    depth::check_depths,
    text::{as_text, join, parse_list, unknown},
};

/// Which layer of the ancestor each layer of the descendant inherits.
///
/// With D layers in the ancestor and L in the descendant, layer i inherits:
///
/// | policy | L < D, 6 of 12 | L > D, 5 of 3 |
/// |---|---|---|
/// | `front`, min(i, D - 1) | 0 1 2 3 4 5 | 0 1 2 2 2 |
/// | `even`, floor(i D / L) | 0 2 4 6 8 10 | 0 0 1 1 2 |
/// | `last`, max(i + D - L, 0) | 6 7 8 9 10 11 | 0 0 0 1 2 |
///
/// Where the ancestor has stages, that holds in each of them. Where windows are shifted, the place of
/// a layer in its stage decides, wherever it was inherited from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LayerPolicy {
    /// The first layers, as published; a deeper descendant takes all and repeats the last.
    #[default]
    Front,
    /// Layers at even distances; a deeper descendant repeats layers in place.
    Even,
    /// The last layers; a deeper descendant repeats the first and takes all.
    Last,
    /// The ancestor's layer for each layer of the descendant.
    List(Vec<usize>),
}

impl LayerPolicy {
    /// The ancestor's layer for each layer of a descendant with so many layers in each stage: a
    /// layer inherits from its own stage.
    pub(crate) fn sources(&self, depths: &[usize], stages: &[Range<usize>]) -> Result<Vec<usize>> {
        if let Self::List(layers) = self {
            check_list(layers, depths, stages)?;
            return Ok(layers.clone());
        }
        let sources = depths.iter().zip(stages).flat_map(|(&depth, stage)| {
            let ancestor_depth = stage.len();
            (0..depth).map(move |layer| {
                stage.start
                    + match self {
                        Self::Even => layer * ancestor_depth / depth,
                        Self::Last => (layer + ancestor_depth).saturating_sub(depth),
                        Self::Front | Self::List(_) => layer.min(ancestor_depth - 1),
                    }
            })
        });
        Ok(sources.collect())
    }

    /// Layers of each stage, by a list of the ancestor's layers; none where there is no list.
    pub(crate) fn depths(&self, stages: &[Range<usize>]) -> Result<Option<Vec<usize>>> {
        let Self::List(layers) = self else { return Ok(None) };
        let mut depths = vec![0; stages.len()];
        for (entry, layer) in layers.iter().enumerate() {
            depths[stage_of(entry, *layer, stages)?] += 1;
        }
        check_depths(&depths)?;
        Ok(Some(depths))
    }
}

/// The stage of an ancestor's layer that an entry of a list names.
fn stage_of(entry: usize, layer: usize, stages: &[Range<usize>]) -> Result<usize> {
    stages.iter().position(|stage| stage.contains(&layer)).ok_or_else(|| {
        let last = stages.last().map_or(0, |stage| stage.end - 1);
        let place = format!("layers: entry {entry}");
        Error::invalid(place, layer, format!("a layer of the ancestor, 0 to {last}"))
    })
}

fn check_list(layers: &[usize], depths: &[usize], stages: &[Range<usize>]) -> Result<()> {
    let depth: usize = depths.iter().sum();
    if layers.len() != depth {
        let found = format!("{} entries", layers.len());
        return Err(Error::invalid("layers", found, format!("{depth}, one for each layer")));
    }
    let expected = depths.iter().enumerate().flat_map(|(stage, depth)| vec![stage; *depth]);
    for (entry, (&layer, expected)) in layers.iter().zip(expected).enumerate() {
        let stage = stage_of(entry, layer, stages)?;
        if stage != expected {
            let found = format!("layer {layer}, of stage {stage}");
            let place = format!("layers: entry {entry}");
            return Err(Error::invalid(place, found, format!("a layer of stage {expected}")));
        }
    }
    Ok(())
}

impl fmt::Display for LayerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Front => f.write_str("front"),
            Self::Even => f.write_str("even"),
            Self::Last => f.write_str("last"),
            Self::List(layers) => f.write_str(&join(layers)),
        }
    }
}

impl FromStr for LayerPolicy {
    type Err = Error;

    /// Reads `front`, `even`, `last` or a list such as `0,0,1`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "front" => Ok(Self::Front),
            "even" => Ok(Self::Even),
            "last" => Ok(Self::Last),
            _ => parse_list(text).map(Self::List).ok_or_else(|| {
                let expected = "front, even, last or a list of the ancestor's layers such as 0,0,1";
                unknown("layers", text, expected)
            }),
        }
    }
}

as_text!(LayerPolicy);

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a model of one stage")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, depth: usize, ancestor_depth: usize, expected: &[usize]) {
        let policy: LayerPolicy = text.parse().expect(text);
        let sources = policy.sources(&[depth], &[0..ancestor_depth]);
        assert_eq!(sources.expect(text), expected);
        assert_eq!(policy.to_string(), text);
    }

    #[test]
    fn front_takes_the_first_and_repeats_the_last() {
        check("front", 6, 12, &[0, 1, 2, 3, 4, 5]);
        check("front", 3, 3, &[0, 1, 2]);
        check("front", 5, 3, &[0, 1, 2, 2, 2]);
    }

    #[test]
    fn even_spreads_out_and_repeats_in_place() {
        check("even", 6, 12, &[0, 2, 4, 6, 8, 10]);
        check("even", 3, 3, &[0, 1, 2]);
        check("even", 6, 3, &[0, 0, 1, 1, 2, 2]);
        check("even", 5, 3, &[0, 0, 1, 1, 2]);
    }

    #[test]
    fn last_takes_the_last_and_repeats_the_first() {
        check("last", 6, 12, &[6, 7, 8, 9, 10, 11]);
        check("last", 3, 3, &[0, 1, 2]);
        check("last", 5, 3, &[0, 0, 0, 1, 2]);
    }

    #[test]
    fn a_list_is_taken_at_its_word() {
        check("2,0,0", 3, 3, &[2, 0, 0]);
        check("1", 1, 3, &[1]);
    }

    #[test]
    fn layers_inherit_from_their_own_stage() {
        let check = |policy: LayerPolicy, expected: &[usize]| {
            let sources = policy.sources(&[3, 3], &[0..2, 2..8]);
            assert_eq!(sources.expect("no list"), expected, "{policy}");
        };
        check(LayerPolicy::Front, &[0, 1, 1, 2, 3, 4]);
        check(LayerPolicy::Even, &[0, 0, 1, 2, 4, 6]);
        check(LayerPolicy::Last, &[0, 0, 1, 5, 6, 7]);
    }

    #[test]
    fn a_list_gives_the_depth_of_every_stage() {
        let depths = LayerPolicy::List(vec![1, 3, 5, 7]).depths(&[0..2, 2..8]);
        assert_eq!(depths.expect("layers of both stages"), Some(vec![1, 3]));
        for (list, stages, message) in [
            (vec![0, 1], &[0..2, 2..8][..], "depth of stage 1: found 0, expected at least 1"),
            (vec![], &[0..2], "depth: found 0, expected at least 1"),
        ] {
            let error = LayerPolicy::List(list).depths(stages).expect_err(message);
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_list_that_does_not_fit_the_ancestor_is_refused() {
        let refused = |list: &[usize], depths: &[usize], stages: &[Range<usize>], message: &str| {
            let error = LayerPolicy::List(list.to_vec()).sources(depths, stages);
            assert_eq!(error.expect_err(message).to_string(), message);
        };
        let message = "layers: found 2 entries, expected 3, one for each layer";
        refused(&[0, 1], &[3], &[0..12], message);
        let message = "layers: entry 1: found 12, expected a layer of the ancestor, 0 to 11";
        refused(&[0, 12], &[2], &[0..12], message);
        let message = "layers: entry 2: found layer 2, of stage 1, expected a layer of stage 0";
        refused(&[0, 1, 2, 3], &[3, 1], &[0..2, 2..8], message);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "middle", "0,,1", "0,-1", "Front"] {
            let error = text.parse::<LayerPolicy>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("layers: found `{text}`, expected fr")), "{error}");
        }
    }

    proptest! {
        /// Whatever the depths, layers keep their order, and one that takes all leaves none out.
        #[test]
        fn layers_keep_their_order(depth in 1usize..40, ancestor_depth in 1usize..40) {
            for policy in [LayerPolicy::Front, LayerPolicy::Even, LayerPolicy::Last] {
                let sources = policy.sources(&[depth], &[0..ancestor_depth]).expect("no list");
                prop_assert!(sources.is_sorted());
                let mut distinct = sources.clone();
                distinct.dedup();
                prop_assert_eq!(distinct.len(), depth.min(ancestor_depth), "{}", policy);
                prop_assert!(sources.iter().all(|source| *source < ancestor_depth));
            }
        }
    }
}
