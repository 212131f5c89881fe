use std::{fmt, str::FromStr};

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
    /// The ancestor's layer for each of `depth` layers, each less than `ancestor_depth`.
    pub(crate) fn sources(
        &self,
        depth: usize,
        ancestor_depth: usize,
    ) -> Result<Vec<usize>, ExpansionError> {
        let source = |layer: usize| match self {
            Self::Front => layer.min(ancestor_depth - 1),
            Self::Even => layer * ancestor_depth / depth,
            Self::Last => (layer + ancestor_depth).saturating_sub(depth),
            Self::List(layers) => layers[layer],
        };
        if let Self::List(layers) = self {
            if layers.len() != depth {
                return Err(ExpansionError::LayerListLength { got: layers.len(), depth });
            }
            if let Some(layer) = layers.iter().position(|source| *source >= ancestor_depth) {
                let got = layers[layer];
                return Err(ExpansionError::UnknownLayer { layer, got, depth: ancestor_depth });
            }
        }
        Ok((0..depth).map(source).collect())
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, depth: usize, ancestor_depth: usize, wanted: &[usize]) {
        let policy: LayerPolicy = text.parse().expect(text);
        assert_eq!(policy.sources(depth, ancestor_depth).as_deref(), Ok(wanted));
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
    fn a_list_of_another_length_than_the_depth_is_refused() {
        let error = LayerPolicy::List(vec![0, 1]).sources(3, 12).expect_err("two for three");
        assert_eq!(error, ExpansionError::LayerListLength { got: 2, depth: 3 });
    }

    #[test]
    fn a_layer_that_the_ancestor_lacks_is_refused() {
        let error = LayerPolicy::List(vec![0, 12]).sources(2, 12).expect_err("layers end at 11");
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
                let sources = policy.sources(depth, ancestor_depth).expect("no list");
                prop_assert!(sources.is_sorted());
                let mut distinct = sources.clone();
                distinct.dedup();
                prop_assert_eq!(distinct.len(), depth.min(ancestor_depth), "{}", policy);
                prop_assert!(sources.iter().all(|source| *source < ancestor_depth));
            }
        }
    }
}
