use serde::{Deserialize, Serialize};

use crate::{DepthPolicy, HeadPolicy, LayerPolicy, Order, ProjectionPolicy, Ratio, text::named};

/// The shape and the origin of a descendant; what is left out is as in the ancestor.
///
/// Written unchecked; [`expand`](crate::expand) checks it against the learngene it is given. The
/// head width is always the ancestor's.
///
/// ```
/// use learngene_expansion::{DescendantConfig, Order};
///
/// let config = DescendantConfig {
///     depth: 6.into(),
///     layers: "even".parse()?,
///     heads: "x3/4".parse()?,
///     order: Order::Increasing,
///     ..DescendantConfig::default()
/// };
/// # assert_eq!(config.layers.to_string(), "even");
/// # Ok::<(), learngene_tensors::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DescendantConfig {
    /// Number of layers; by default the length of the list in [`layers`](Self::layers), or the
    /// ancestor's depth.
    pub depth: DepthPolicy,
    /// Which layer of the ancestor each layer inherits.
    pub layers: LayerPolicy,
    /// How many heads each layer has.
    pub heads: HeadPolicy,
    /// Order in which centroids initialise heads.
    pub order: Order,
    /// Where the output-projection columns of a head come from; by default `refit` where the
    /// learngene was refitted, otherwise `rescaled`.
    pub projection: Option<ProjectionPolicy>,
    /// What a repeated layer of the ancestor starts as.
    pub new_layers: NewLayers,
    /// Width of a token in the first stage.
    pub embed_dim: Option<usize>,
    /// Hidden width of every FFN divided by the width of a token; by default that of the inherited
    /// layer.
    pub mlp_ratio: Option<Ratio>,
    /// Hidden width of each layer's FFN, instead of a ratio.
    pub hidden_dim: Option<Vec<usize>>,
    /// Whether the classifier is drawn or inherited.
    pub classifier: ClassifierPolicy,
    /// Number of classes, 0 for a backbone without classifier; by default the ancestor's.
    pub num_classes: Option<usize>,
    /// Side of the square input, in pixels; positions are interpolated to it.
    pub image_size: Option<usize>,
    /// Seed of a fresh classifier and of drawn layers.
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

/// What a layer starts as if an earlier one already inherits the same layer of the ancestor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NewLayers {
    /// A copy like the earlier one.
    #[default]
    Copy,
    /// The identity: a copy whose two branches end in zeros, so that the model computes what it did
    /// without the layer.
    Identity,
}

named!(ClassifierPolicy, "classifier": Fresh = "fresh", Inherit = "inherit");
named!(NewLayers, "new layers": Copy = "copy", Identity = "identity");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_text_of_the_command_line() {
        let text = r#"{"depth":"6","layers":"0,0,1,1,2,2","heads":"x8","order":"increasing",
                       "projection":"rescaled","new_layers":"identity","embed_dim":96,
                       "mlp_ratio":"3","classifier":"inherit","seed":7}"#;
        let config = DescendantConfig {
            depth: 6.into(),
            layers: LayerPolicy::List(vec![0, 0, 1, 1, 2, 2]),
            heads: HeadPolicy::Ratio("8".parse().expect("a ratio")),
            order: Order::Increasing,
            projection: Some(ProjectionPolicy::Rescaled),
            new_layers: NewLayers::Identity,
            embed_dim: Some(96),
            mlp_ratio: Some("3".parse().expect("a ratio")),
            hidden_dim: None,
            classifier: ClassifierPolicy::Inherit,
            num_classes: None,
            image_size: None,
            seed: 7,
        };
        let got: DescendantConfig = serde_json::from_str(text).expect("every field is known");
        assert_eq!(got, config);
        let again = serde_json::to_string(&config).expect("plain data");
        assert_eq!(serde_json::from_str::<DescendantConfig>(&again).expect("own text"), config);
        assert!(serde_json::from_str::<DescendantConfig>(r#"{"deepth":6}"#).is_err());
    }
}
