use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    ExpansionError,
    text::{join, parse_list},
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
/// Where the ancestor has stages, that holds in each of them. Windows of a Swin are shifted by the
/// place of a layer in its stage, wherever it was inherited from.
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
    pub(crate) fn sources(
        &self,
        depths: &[usize],
        stages: &[Range<usize>],
    ) -> Result<Vec<usize>, ExpansionError> {
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
    pub(crate) fn depths(
        &self,
        stages: &[Range<usize>],
    ) -> Result<Option<Vec<usize>>, ExpansionError> {
        let Self::List(layers) = self else { return Ok(None) };
        check_known(layers, stages)?;
        let of_stage =
            |stage: &Range<usize>| layers.iter().filter(|layer| stage.contains(layer)).count();
        let depths: Vec<usize> = stages.iter().map(of_stage).collect();
        match depths.iter().position(|depth| *depth == 0) {
            Some(_) if layers.is_empty() => Err(ExpansionError::NoLayers),
            Some(stage) => Err(ExpansionError::NoLayersInStage { stage }),
            None => Ok(Some(depths)),
        }
    }
}

fn check_known(layers: &[usize], stages: &[Range<usize>]) -> Result<(), ExpansionError> {
    let depth = stages.last().map_or(0, |stage| stage.end);
    match layers.iter().position(|source| *source >= depth) {
        Some(layer) => Err(ExpansionError::UnknownLayer { layer, got: layers[layer], depth }),
        None => Ok(()),
    }
}

fn check_list(
    layers: &[usize],
    depths: &[usize],
    stages: &[Range<usize>],
) -> Result<(), ExpansionError> {
    let depth = depths.iter().sum();
    if layers.len() != depth {
        return Err(ExpansionError::LayerListLength { got: layers.len(), depth });
    }
    check_known(layers, stages)?;
    let wanted = depths.iter().enumerate().flat_map(|(stage, depth)| vec![stage; *depth]);
    for (layer, (&got, want_stage)) in layers.iter().zip(wanted).enumerate() {
        let got_stage = stages.iter().position(|stage| stage.contains(&got));
        let got_stage = got_stage.expect("layers were checked to exist just before");
        if got_stage != want_stage {
            return Err(ExpansionError::ForeignStage { layer, got, got_stage, want_stage });
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
    type Err = ExpansionError;

    /// Reads `front`, `even`, `last` or a list such as `0,0,1`.
    fn from_str(text: &str) -> Result<Self, ExpansionError> {
        match text {
            "front" => Ok(Self::Front),
            "even" => Ok(Self::Even),
            "last" => Ok(Self::Last),
            _ => parse_list(text).map(Self::List).ok_or_else(|| ExpansionError::Text {
                what: "layers",
                got: text.to_owned(),
                want: "front, even, last or a list of the ancestor's layers such as 0,0,1",
            }),
        }
    }
}

impl TryFrom<String> for LayerPolicy {
    type Error = ExpansionError;

    fn try_from(text: String) -> Result<Self, ExpansionError> {
        text.parse()
    }
}

impl From<LayerPolicy> for String {
    fn from(policy: LayerPolicy) -> Self {
        policy.to_string()
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a model of one stage")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, depth: usize, ancestor_depth: usize, wanted: &[usize]) {
        let policy: LayerPolicy = text.parse().expect(text);
        let sources = policy.sources(&[depth], &[0..ancestor_depth]);
        assert_eq!(sources.as_deref(), Ok(wanted));
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
        let stages = [0..2, 2..8];
        let sources = |policy: LayerPolicy| policy.sources(&[3, 3], &stages);
        assert_eq!(sources(LayerPolicy::Front), Ok(vec![0, 1, 1, 2, 3, 4]));
        assert_eq!(sources(LayerPolicy::Even), Ok(vec![0, 0, 1, 2, 4, 6]));
        assert_eq!(sources(LayerPolicy::Last), Ok(vec![0, 0, 1, 5, 6, 7]));
        let error = sources(LayerPolicy::List(vec![0, 1, 2, 3, 4, 5])).expect_err("2 is not in 0");
        let message = "layer 2 of the descendant is to inherit layer 2 of the ancestor's stage 1, \
                       wanted one of stage 0";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_list_tells_the_depth_of_every_stage() {
        let depths = |list: &[usize]| LayerPolicy::List(list.to_vec()).depths(&[0..2, 2..8]);
        assert_eq!(depths(&[1, 3, 5, 7]), Ok(Some(vec![1, 3])));
        assert_eq!(depths(&[0, 1]), Err(ExpansionError::NoLayersInStage { stage: 1 }));
        assert_eq!(depths(&[]), Err(ExpansionError::NoLayers));
    }

    #[test]
    fn a_list_of_another_length_than_the_depth_is_refused() {
        let error = LayerPolicy::List(vec![0, 1]).sources(&[3], &[0..12]).expect_err("two");
        assert_eq!(error, ExpansionError::LayerListLength { got: 2, depth: 3 });
    }

    #[test]
    fn a_layer_that_the_ancestor_lacks_is_refused() {
        let error = LayerPolicy::List(vec![0, 12]).sources(&[2], &[0..12]).expect_err("12");
        let message = "layer 1 of the descendant is to inherit layer 12, but the ancestor's layers \
                       are 0 to 11";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "middle", "0,,1", "0,-1", "Front"] {
            let error = text.parse::<LayerPolicy>().expect_err(text);
            assert!(matches!(error, ExpansionError::Text { what: "layers", .. }), "{error}");
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
