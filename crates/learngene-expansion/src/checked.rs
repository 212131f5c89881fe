//! Wishes against what an ancestor can give.

use std::collections::BTreeSet;

use learngene_models::{
    ModelConfig, ShapeError, SwinConfig, VitConfig,
    limits::{MAX_CLASSES, MAX_DEPTH, MAX_HEADS, MAX_IMAGE_SIZE, MAX_WIDTH},
};

use crate::{
    ClassifierPolicy, DescendantConfig, ExpansionError, NewLayers, Order, ProjectionPolicy, Ratio,
};

/// A [`DescendantConfig`] that the ancestor can satisfy, every choice worked out.
pub(crate) struct CheckedDescendantConfig {
    /// Shape with the ancestor's widths, in which everything is inherited.
    pub(crate) inherited: ModelConfig,
    /// Shape of the descendant.
    pub(crate) shape: ModelConfig,
    /// The ancestor's layer that each layer inherits; of a drawn one, the layer whose number of heads
    /// it has by default.
    pub(crate) sources: Vec<usize>,
    /// The ancestor's layer that each layer has its norms from: the same, but where layers share
    /// all else.
    pub(crate) norm_sources: Vec<usize>,
    /// Whether each layer is drawn instead of inherited.
    pub(crate) drawn: Vec<bool>,
    pub(crate) order: Order,
    pub(crate) projection: Option<ProjectionPolicy>,
    pub(crate) new_layers: NewLayers,
    pub(crate) classifier: ClassifierPolicy,
    pub(crate) seed: u64,
}

impl DescendantConfig {
    /// The shape of the descendant of an ancestor of that shape.
    ///
    /// # Errors
    /// [`ExpansionError`] where the wishes contradict each other or the ancestor.
    pub fn shape(&self, ancestor: &ModelConfig) -> Result<ModelConfig, ExpansionError> {
        Ok(self.check(ancestor)?.shape)
    }

    /// Layers of each stage.
    pub(crate) fn depths(&self, ancestor: &ModelConfig) -> Result<Vec<usize>, ExpansionError> {
        ancestor.check()?;
        let stages = ancestor.stages();
        let depths = match self.depth.depths(&stages)? {
            Some(depths) => depths,
            None => match self.layers.depths(&stages)? {
                Some(depths) => depths,
                None => stages.iter().map(|stage| stage.len()).collect(),
            },
        };
        at_most(MAX_DEPTH, "depth", depths.iter().fold(0, |sum, d| sum.saturating_add(*d)))?;
        Ok(depths)
    }

    pub(crate) fn check(
        &self,
        ancestor: &ModelConfig,
    ) -> Result<CheckedDescendantConfig, ExpansionError> {
        let depths = self.depths(ancestor)?;
        let sources = self.layers.sources(&depths, &ancestor.stages())?;

        let of_ancestor = ancestor.num_heads();
        let ancestor_heads: Vec<usize> = sources.iter().map(|l| of_ancestor[*l]).collect();
        let num_heads = self.heads.counts(&ancestor_heads)?;
        for &heads in &num_heads {
            at_most(MAX_HEADS, "number of heads in a layer", heads)?;
        }

        let image_size = self.image_size.unwrap_or(ancestor.image_size());
        at_most(MAX_IMAGE_SIZE, "image size", image_size)?;
        let num_classes = self.num_classes.unwrap_or(ancestor.num_classes());
        at_most(MAX_CLASSES, "number of classes", num_classes)?;
        if self.classifier == ClassifierPolicy::Inherit && num_classes != ancestor.num_classes() {
            let want = ancestor.num_classes();
            return Err(ExpansionError::ClassifierClasses { got: num_classes, want });
        }

        let inherited = with_heads(ancestor, &depths, num_heads)
            .with_image_size(image_size)
            .with_num_classes(num_classes);
        inherited.check()?;
        check_windows(ancestor, &inherited)?;
        if self.new_layers == NewLayers::Identity {
            check_shifts(ancestor, &inherited, &sources)?;
        }
        let shape = self.widened(&inherited)?;
        shape.check()?;
        Ok(CheckedDescendantConfig {
            inherited,
            shape,
            norm_sources: sources.clone(),
            drawn: vec![false; sources.len()],
            sources,
            order: self.order,
            projection: self.projection,
            new_layers: self.new_layers,
            classifier: self.classifier,
            seed: self.seed,
        })
    }

    /// That shape with the widths wished for.
    fn widened(&self, shape: &ModelConfig) -> Result<ModelConfig, ExpansionError> {
        let embed_dim = self.embed_dim.unwrap_or(shape.embed_dim());
        at_most(MAX_WIDTH, "token width", embed_dim)?;
        if embed_dim == 0 {
            return Err(ShapeError::Zero { field: "embed_dim" }.into());
        }
        let hidden = |layer: usize, from: usize, hidden: usize, to: usize| match self.mlp_ratio {
            None if from == to => Ok::<_, ExpansionError>(hidden),
            ratio => {
                let ratio = match ratio {
                    Some(ratio) => ratio,
                    None => Ratio::new(hidden as u64, from as u64)?,
                };
                let fraction =
                    |got| ExpansionError::FractionalHidden { layer, embed_dim: to, ratio, got };
                let hidden = ratio.multiply(to).map_err(fraction)?;
                at_most(MAX_WIDTH, "hidden width", hidden)?;
                Ok(hidden)
            }
        };
        Ok(match shape {
            ModelConfig::Vit(vit) => VitConfig {
                embed_dim,
                mlp_hidden_dim: hidden(0, vit.embed_dim, vit.mlp_hidden_dim, embed_dim)?,
                ..vit.clone()
            }
            .into(),
            ModelConfig::Swin(swin) => {
                let of_stage = |(stage, range): (usize, std::ops::Range<usize>)| {
                    let (from, to) = (swin.stage_dim(stage), embed_dim << stage);
                    hidden(range.start, from, swin.mlp_hidden_dim[stage], to)
                };
                let mlp_hidden_dim = shape.stages().into_iter().enumerate().map(of_stage);
                SwinConfig {
                    embed_dim,
                    mlp_hidden_dim: mlp_hidden_dim.collect::<Result<_, _>>()?,
                    ..swin.clone()
                }
                .into()
            }
        })
    }
}

/// A table of relative positions fits windows of one size alone.
fn check_windows(ancestor: &ModelConfig, shape: &ModelConfig) -> Result<(), ExpansionError> {
    let (ModelConfig::Swin(ancestor), ModelConfig::Swin(swin)) = (ancestor, shape) else {
        return Ok(());
    };
    for stage in 0..swin.num_stages() {
        let (got, want) = (swin.window(stage), ancestor.window(stage));
        if got != want {
            let image_size = swin.image_size;
            return Err(ExpansionError::Windows { image_size, stage, got, want });
        }
    }
    Ok(())
}

/// Windows are shifted in every second layer of a stage, by its place: a layer that comes to another
/// kind of place computes something else than it did.
fn check_shifts(
    ancestor: &ModelConfig,
    shape: &ModelConfig,
    sources: &[usize],
) -> Result<(), ExpansionError> {
    let shifts = |config: &ModelConfig| -> Vec<usize> {
        let ModelConfig::Swin(swin) = config else { return vec![0; config.depth()] };
        let of_stage = |(stage, depth)| (0..depth).map(move |block| swin.shift(stage, block));
        swin.depths().into_iter().enumerate().flat_map(of_stage).collect()
    };
    let (of_ancestor, of_descendant) = (shifts(ancestor), shifts(shape));
    let mut used = BTreeSet::new();
    for (layer, &source) in sources.iter().enumerate() {
        let (got, want) = (of_descendant[layer], of_ancestor[source]);
        if used.insert(source) && got != want {
            return Err(ExpansionError::Shift { layer, got, source_layer: source, want });
        }
    }
    Ok(())
}

/// The ancestor's shape with other layers and heads.
fn with_heads(ancestor: &ModelConfig, depths: &[usize], num_heads: Vec<usize>) -> ModelConfig {
    match ancestor {
        ModelConfig::Vit(vit) => VitConfig { num_heads, ..vit.clone() }.into(),
        ModelConfig::Swin(swin) => {
            let mut rest = num_heads.into_iter();
            let stages = depths.iter().map(|depth| rest.by_ref().take(*depth).collect());
            SwinConfig { num_heads: stages.collect(), ..swin.clone() }.into()
        }
    }
}

fn at_most(limit: usize, what: &'static str, got: usize) -> Result<(), ExpansionError> {
    if got > limit { Err(ExpansionError::TooLarge { what, got, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeadPolicy, LayerPolicy};

    fn shape(wanted: DescendantConfig) -> Result<VitConfig, ExpansionError> {
        match wanted.shape(&VitConfig::deit_tiny().into())? {
            ModelConfig::Vit(vit) => Ok(vit),
            ModelConfig::Swin(_) => unreachable!("a ViT's descendant is a ViT"),
        }
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
            depth: 3.into(),
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
    fn widths_follow_the_wish() {
        let got = shape(DescendantConfig { embed_dim: Some(96), ..Default::default() });
        let widths = |shape: VitConfig| (shape.embed_dim, shape.mlp_hidden_dim, shape.head_dim);
        assert_eq!(got.map(widths), Ok((96, 384, 64)));
        let mlp_ratio = Some("8/3".parse().expect("a ratio"));
        let got = shape(DescendantConfig { mlp_ratio, ..Default::default() });
        assert_eq!(got.map(widths), Ok((192, 512, 64)));
        let wanted = DescendantConfig { embed_dim: Some(100), mlp_ratio, ..Default::default() };
        let message = "layer 0 of the descendant: a token width of 100 at MLP ratio 8/3 gives a \
                       hidden width of 800/3, wanted a whole number of at least 1";
        refused(wanted, message);
    }

    #[test]
    fn a_swins_stages_are_all_wished_for_at_once() {
        let ancestor: ModelConfig = SwinConfig::swin_tiny().into();
        let wanted = DescendantConfig {
            depth: "x1/2".parse().expect("a depth"),
            heads: "w=1/8".parse().expect("a ratio"),
            embed_dim: Some(48),
            ..Default::default()
        };
        let heads = vec![vec![24], vec![48], vec![96; 3], vec![192]];
        let want = SwinConfig {
            num_heads: heads,
            embed_dim: 48,
            mlp_hidden_dim: vec![192, 384, 768, 1536],
            ..SwinConfig::swin_tiny()
        };
        assert_eq!(wanted.shape(&ancestor), Ok(want.into()));
    }

    #[test]
    fn a_swins_windows_keep_their_size() {
        let ancestor = SwinConfig::uniform(16, &[1, 1], &[2, 2]).with_window_size(4);
        let ancestor: ModelConfig = ancestor.with_image_size(32).into();
        let shape = |image_size| {
            DescendantConfig { image_size: Some(image_size), ..Default::default() }.shape(&ancestor)
        };
        assert!(shape(64).is_ok());
        let message = "images of 16 px make the windows of stage 1 2 tokens wide, but the \
                       ancestor's biases of relative positions are for windows of 4";
        assert_eq!(shape(16).expect_err(message).to_string(), message);
    }

    /// Layer 1 of a stage, whose windows are shifted, comes to place 2, where they are not.
    #[test]
    fn a_swins_layers_keep_their_shift_where_new_ones_are_the_identity() {
        let ancestor: ModelConfig = SwinConfig::swin_tiny().into();
        let grown = |layers, new_layers| {
            let depth = "4,4,12,4".parse().expect("a depth");
            let wanted = DescendantConfig { depth, layers, new_layers, ..Default::default() };
            wanted.shape(&ancestor)
        };
        let message = "layer 2 of the descendant has windows shifted by 0 tokens, but the ancestor's \
                       layer 1, which it inherits, by 3, so with new layers as the identity the \
                       model would not compute what it did; choose front layers, or a list in \
                       which layers keep even or odd places of their stage";
        let error = grown(LayerPolicy::Even, NewLayers::Identity).expect_err(message);
        assert_eq!(error.to_string(), message);
        assert!(grown(LayerPolicy::Even, NewLayers::Copy).is_ok());
        assert!(grown(LayerPolicy::Front, NewLayers::Identity).is_ok());
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
        refused(DescendantConfig { depth: 0.into(), ..Default::default() }, message);
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
                DescendantConfig { depth: 1025.into(), ..Default::default() },
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
    fn an_ancestor_of_impossible_shape_is_refused() {
        let error = DescendantConfig::default().shape(&VitConfig::uniform(48, 0, 3).into());
        assert!(matches!(error, Err(ExpansionError::Shape(_))), "{error:?}");
    }
}
