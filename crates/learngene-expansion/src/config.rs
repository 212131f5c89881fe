use std::{fmt, str::FromStr};

use learngene_models::VitConfig;
use serde::{Deserialize, Serialize};

use crate::{ExpansionError, HeadPolicy, LayerPolicy, Order, ProjectionPolicy, text::parse_name};

/// Largest sizes accepted, each far above any published model: a slip of the keyboard is refused
/// before memory is asked for it.
const MAX_DEPTH: usize = 1024;
const MAX_HEADS: usize = 1024;
const MAX_CLASSES: usize = 1 << 20;
const MAX_IMAGE_SIZE: usize = 1 << 13;

/// What a descendant shall be like; whatever is left out is as in the ancestor.
///
/// Written unchecked; [`expand`](crate::expand) checks it against the learngene it is given. The
/// token width, the head width and the hidden width of the feed-forward networks are always the
/// ancestor's.
///
/// ```
/// use learngene_expansion::{DescendantConfig, Order};
///
/// let wanted = DescendantConfig {
///     depth: Some(6),
///     layers: "even".parse()?,
///     heads: "w=4/3".parse()?,
///     order: Order::Increasing,
///     ..DescendantConfig::default()
/// };
/// # assert_eq!(wanted.layers.to_string(), "even");
/// # Ok::<(), learngene_expansion::ExpansionError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DescendantConfig {
    /// Number of layers; by default the length of the list in [`layers`](Self::layers), or the
    /// ancestor's depth.
    pub depth: Option<usize>,
    /// Which layer of the ancestor each layer inherits.
    pub layers: LayerPolicy,
    /// How many heads each layer has.
    pub heads: HeadPolicy,
    /// In which order centroids initialise heads.
    pub order: Order,
    /// Where the output-projection columns of a head come from.
    pub projection: ProjectionPolicy,
    /// Whether the classifier is drawn or inherited.
    pub classifier: ClassifierPolicy,
    /// Classes told apart, 0 for a backbone without classifier; by default as many as the
    /// ancestor's.
    pub num_classes: Option<usize>,
    /// Side of the square input, in pixels; positions are interpolated to it.
    pub image_size: Option<usize>,
    /// Seed of a fresh classifier.
    pub seed: u64,
}

/// Where a descendant's classifier comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassifierPolicy {
    /// Drawn from the seed.
    #[default]
    Fresh,
    /// The ancestor's.
    Inherit,
}

/// A [`DescendantConfig`] that the ancestor can satisfy, every choice worked out.
pub(crate) struct CheckedDescendantConfig {
    pub(crate) shape: VitConfig,
    /// The ancestor's layer that each layer inherits.
    pub(crate) sources: Vec<usize>,
    pub(crate) order: Order,
    pub(crate) projection: ProjectionPolicy,
    pub(crate) classifier: ClassifierPolicy,
    pub(crate) seed: u64,
}

impl DescendantConfig {
    /// The shape of the descendant of an ancestor of that shape.
    ///
    /// # Errors
    /// [`ExpansionError`] where the wishes contradict each other or the ancestor.
    pub fn shape(&self, ancestor: &VitConfig) -> Result<VitConfig, ExpansionError> {
        Ok(self.check(ancestor)?.shape)
    }

    pub(crate) fn check(
        &self,
        ancestor: &VitConfig,
    ) -> Result<CheckedDescendantConfig, ExpansionError> {
        ancestor.check()?;
        let depth = match (self.depth, &self.layers) {
            (Some(depth), _) => depth,
            (None, LayerPolicy::List(layers)) => layers.len(),
            (None, _) => ancestor.depth(),
        };
        if depth == 0 {
            return Err(ExpansionError::NoLayers);
        }
        at_most(MAX_DEPTH, "depth", depth)?;
        let sources = self.layers.sources(depth, ancestor.depth())?;

        let ancestor_heads: Vec<usize> = sources.iter().map(|l| ancestor.num_heads[*l]).collect();
        let num_heads = self.heads.counts(&ancestor_heads)?;
        for &heads in &num_heads {
            at_most(MAX_HEADS, "number of heads in a layer", heads)?;
        }

        let image_size = self.image_size.unwrap_or(ancestor.image_size);
        at_most(MAX_IMAGE_SIZE, "image size", image_size)?;
        let num_classes = self.num_classes.unwrap_or(ancestor.num_classes);
        at_most(MAX_CLASSES, "number of classes", num_classes)?;
        if self.classifier == ClassifierPolicy::Inherit && num_classes != ancestor.num_classes {
            let want = ancestor.num_classes;
            return Err(ExpansionError::ClassifierClasses { got: num_classes, want });
        }

        let shape = VitConfig { num_heads, image_size, num_classes, ..ancestor.clone() };
        shape.check()?;
        Ok(CheckedDescendantConfig {
            shape,
            sources,
            order: self.order,
            projection: self.projection,
            classifier: self.classifier,
            seed: self.seed,
        })
    }
}

impl ClassifierPolicy {
    const ALL: [Self; 2] = [Self::Fresh, Self::Inherit];
}

impl fmt::Display for ClassifierPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fresh => "fresh",
            Self::Inherit => "inherit",
        })
    }
}

impl FromStr for ClassifierPolicy {
    type Err = ExpansionError;

    fn from_str(text: &str) -> Result<Self, ExpansionError> {
        parse_name("classifier", "fresh or inherit", text, Self::ALL)
    }
}

fn at_most(limit: usize, what: &'static str, got: usize) -> Result<(), ExpansionError> {
    if got > limit { Err(ExpansionError::TooLarge { what, got, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(wanted: DescendantConfig) -> Result<VitConfig, ExpansionError> {
        wanted.shape(&VitConfig::deit_tiny())
    }

    fn refused(wanted: DescendantConfig, message: &str) {
        let error = shape(wanted).expect_err(message);
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn by_default_a_descendant_is_shaped_like_its_ancestor() {
        assert_eq!(shape(DescendantConfig::default()), Ok(VitConfig::deit_tiny()));
    }

    #[test]
    fn every_wish_reaches_the_shape() {
        let wanted = DescendantConfig {
            depth: Some(3),
            heads: HeadPolicy::List(vec![6, 5, 1]),
            num_classes: Some(10),
            image_size: Some(96),
            ..Default::default()
        };
        let got = shape(wanted).expect("all of it is possible");
        assert_eq!(got.num_heads, [6, 5, 1]);
        assert_eq!((got.num_classes, got.image_size, got.head_dim), (10, 96, 64));
    }

    #[test]
    fn a_list_of_layers_sets_the_depth() {
        let layers = LayerPolicy::List(vec![0, 0, 11]);
        let got = shape(DescendantConfig { layers, ..Default::default() });
        assert_eq!(got.map(|shape| shape.depth()), Ok(3));
    }

    #[test]
    fn a_descendant_without_layers_is_refused() {
        let message = "depth of a descendant must be at least 1, got 0";
        refused(DescendantConfig { depth: Some(0), ..Default::default() }, message);
        let layers = LayerPolicy::List(vec![]);
        refused(DescendantConfig { layers, ..Default::default() }, message);
    }

    #[test]
    fn an_image_of_partial_patches_is_refused() {
        let wanted = DescendantConfig { image_size: Some(100), ..Default::default() };
        refused(wanted, "image size 100 is not a multiple of the patch size 16");
    }

    #[test]
    fn sizes_beyond_any_model_are_refused() {
        let cases = [
            (
                DescendantConfig { depth: Some(1025), ..Default::default() },
                "depth of a descendant must be at most 1024, got 1025",
            ),
            (
                DescendantConfig { heads: HeadPolicy::Count(usize::MAX), ..Default::default() },
                "number of heads in a layer of a descendant must be at most 1024, got \
                 18446744073709551615",
            ),
            (
                DescendantConfig { image_size: Some(1 << 20), ..Default::default() },
                "image size of a descendant must be at most 8192, got 1048576",
            ),
            (
                DescendantConfig { num_classes: Some(1 << 21), ..Default::default() },
                "number of classes of a descendant must be at most 1048576, got 2097152",
            ),
        ];
        for (wanted, message) in cases {
            refused(wanted, message);
        }
    }

    #[test]
    fn a_classifier_of_other_classes_cannot_be_inherited() {
        let wanted = DescendantConfig {
            classifier: ClassifierPolicy::Inherit,
            num_classes: Some(10),
            ..Default::default()
        };
        let message = "the classifier is to be inherited for 10 classes, but tells 1000 apart; \
                       ask for a fresh classifier";
        refused(wanted, message);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let names = ["fresh", "inherit"];
        assert_eq!(ClassifierPolicy::ALL.map(|policy| policy.to_string()), names);
        for policy in ClassifierPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        let error = "zeros".parse::<ClassifierPolicy>().expect_err("no such policy");
        assert_eq!(error.to_string(), "classifier must be fresh or inherit, got `zeros`");
    }

    #[test]
    fn an_ancestor_of_impossible_shape_is_refused() {
        let error = DescendantConfig::default().shape(&VitConfig::uniform(48, 0, 3));
        assert!(matches!(error, Err(ExpansionError::Shape(_))), "{error:?}");
    }

    #[test]
    fn json_is_the_text_of_the_command_line() {
        let text = r#"{"depth":6,"layers":"0,0,1,1,2,2","heads":"w=1/8","order":"increasing",
                       "projection":"rescaled","classifier":"inherit","seed":7}"#;
        let wanted = DescendantConfig {
            depth: Some(6),
            layers: LayerPolicy::List(vec![0, 0, 1, 1, 2, 2]),
            heads: HeadPolicy::Ratio("1/8".parse().expect("a ratio")),
            order: Order::Increasing,
            projection: ProjectionPolicy::Rescaled,
            classifier: ClassifierPolicy::Inherit,
            num_classes: None,
            image_size: None,
            seed: 7,
        };
        let got: DescendantConfig = serde_json::from_str(text).expect("every field is known");
        assert_eq!(got, wanted);
        let again = serde_json::to_string(&wanted).expect("plain data");
        assert_eq!(serde_json::from_str::<DescendantConfig>(&again).expect("own text"), wanted);
        assert!(serde_json::from_str::<DescendantConfig>(r#"{"deepth":6}"#).is_err());
    }
}
