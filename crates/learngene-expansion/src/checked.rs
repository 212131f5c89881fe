//! Validates a [`DescendantConfig`] against the ancestor's shape.

use learngene_shape::{Axis, LayerSizes, MAX_DEPTH, Reshape, Shape, at_most};
use learngene_tensors::{Error, Result};

use crate::{ClassifierPolicy, DescendantConfig, NewLayers, Order, ProjectionPolicy, Ratio};

/// A [`DescendantConfig`] that the ancestor can satisfy, every choice worked out.
pub(crate) struct CheckedDescendantConfig {
    /// Shape of the descendant.
    pub(crate) shape: Shape,
    /// The ancestor's layer that each layer inherits; of a drawn one, the layer whose number of heads
    /// and hidden width it has by default.
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
    /// The choices contradict each other or the ancestor.
    pub fn shape(&self, ancestor: &Shape) -> Result<Shape> {
        Ok(self.check(ancestor)?.shape)
    }

    /// Layers of each stage.
    pub(crate) fn depths(&self, ancestor: &Shape) -> Result<Vec<usize>> {
        let stages = ancestor.stages();
        let depths = match self.depth.depths(&stages)? {
            Some(depths) => depths,
            None => match self.layers.depths(&stages)? {
                Some(depths) => depths,
                None => stages.iter().map(|stage| stage.len()).collect(),
            },
        };
        at_most("depth", depths.iter().fold(0, |sum, d| sum.saturating_add(*d)), MAX_DEPTH)?;
        Ok(depths)
    }

    pub(crate) fn check(&self, ancestor: &Shape) -> Result<CheckedDescendantConfig> {
        let depths = self.depths(ancestor)?;
        let sources = self.layers.sources(&depths, &ancestor.stages())?;
        self.check_sources(ancestor, &depths, sources)
    }

    /// Checks all but which layers are inherited, which is given: so many in each stage.
    pub(crate) fn check_sources(
        &self,
        ancestor: &Shape,
        depths: &[usize],
        sources: Vec<usize>,
    ) -> Result<CheckedDescendantConfig> {
        let classes = self.num_classes.unwrap_or(ancestor.num_classes());
        if self.classifier == ClassifierPolicy::Inherit && classes != ancestor.num_classes() {
            let expected =
                format!("{}, the ancestor's, or a fresh classifier", ancestor.num_classes());
            return Err(Error::invalid("classes of an inherited classifier", classes, expected));
        }
        let of_sources = |size: fn(&Shape, usize) -> usize| -> Vec<usize> {
            sources.iter().map(|source| size(ancestor, *source)).collect()
        };
        let num_heads =
            self.heads.counts(&of_sources(|shape, layer| shape.layer(layer).heads.num_heads))?;
        let hidden_dim = of_sources(|shape, layer| shape.layer(layer).ffn.hidden_dim);
        let shape = ancestor.reshaped(&Reshape {
            layers: Some(layer_sizes(depths, &num_heads, &hidden_dim)),
            embed_dim: self.embed_dim,
            image_size: self.image_size,
            num_classes: self.num_classes,
        })?;
        // Widths of tokens follow from the shape, hidden widths from them.
        let hidden_dim = match &self.hidden_dim {
            Some(widths) if widths.len() == sources.len() => widths.clone(),
            Some(widths) => {
                let found = format!("{} entries", widths.len());
                let expected = format!("{}, one for each layer", sources.len());
                return Err(Error::invalid("hidden widths", found, expected));
            }
            None => self.hidden_dim(ancestor, &shape, &sources)?,
        };
        let layers = Some(layer_sizes(depths, &num_heads, &hidden_dim));
        let shape = shape.reshaped(&Reshape { layers, ..Reshape::default() })?;
        check_windows(ancestor, &shape, &sources)?;
        if self.new_layers == NewLayers::Identity {
            check_shifts(ancestor, &shape, &sources)?;
        }
        Ok(CheckedDescendantConfig {
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

    /// Hidden width of each layer: at the ratio asked for, or at that of the inherited layer.
    fn hidden_dim(&self, ancestor: &Shape, shape: &Shape, sources: &[usize]) -> Result<Vec<usize>> {
        let of_layer = |(layer, source): (usize, &usize)| {
            let (from, to) = (ancestor.layer(*source), shape.layer(layer).embed_dim);
            let ratio = match self.mlp_ratio {
                Some(ratio) => ratio,
                None if from.embed_dim == to => return Ok(from.ffn.hidden_dim),
                None => Ratio::new(from.ffn.hidden_dim as u64, from.embed_dim as u64)?,
            };
            ratio.multiply(to).map_err(|found| {
                let place = format!("layer {layer}: hidden width");
                let found = format!("{found} (token width {to} at MLP ratio {ratio})");
                Error::invalid(place, found, "a whole number of at least 1")
            })
        };
        sources.iter().enumerate().map(of_layer).collect()
    }
}

/// `[stage][block]`: heads and hidden widths, given through all stages.
fn layer_sizes(
    depths: &[usize],
    num_heads: &[usize],
    hidden_dim: &[usize],
) -> Vec<Vec<LayerSizes>> {
    let sizes = num_heads.iter().zip(hidden_dim);
    let mut sizes = sizes.map(|(&num_heads, &hidden_dim)| LayerSizes { num_heads, hidden_dim });
    depths.iter().map(|depth| sizes.by_ref().take(*depth).collect()).collect()
}

/// A table of relative positions fits windows of one size alone.
fn check_windows(ancestor: &Shape, shape: &Shape, sources: &[usize]) -> Result<()> {
    let is_table = |axis: &Axis| matches!(axis, Axis::Window { .. });
    let parameters = shape.parameters().into_iter();
    let with_tables = parameters.filter(|parameter| parameter.axes.iter().any(is_table));
    for layer in with_tables.filter_map(|parameter| parameter.place.layer()) {
        let found = shape.layer(layer).field.window;
        let expected = ancestor.layer(sources[layer]).field.window;
        if found != expected {
            let size = shape.image().size;
            let place = format!("layer {layer}: side of its windows for images of {size} px");
            let expected = format!("{expected}, that of the ancestor's relative positions");
            return Err(Error::invalid(place, format!("{found} tokens"), expected));
        }
    }
    Ok(())
}

/// Whether windows are shifted depends on a layer's place in its stage: a layer that comes to
/// another kind of place computes something else than it did.
fn check_shifts(ancestor: &Shape, shape: &Shape, sources: &[usize]) -> Result<()> {
    for (layer, &source) in sources.iter().enumerate() {
        let is_first = !sources[..layer].contains(&source);
        let (found, expected) =
            (shape.layer(layer).field.shift, ancestor.layer(source).field.shift);
        if is_first && found != expected {
            let expected = format!(
                "{expected}, that of the ancestor's layer {source}, where new layers are the \
                 identity; choose front layers, or a list in which layers keep even or odd places \
                 of their stage"
            );
            let place = format!("layer {layer}: shift of its windows");
            return Err(Error::invalid(place, format!("{found} tokens"), expected));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use learngene_shape::{Family, Swin, Vit};

    use super::*;
    use crate::{HeadPolicy, LayerPolicy};

    fn deit() -> Shape {
        Vit::deit_tiny().shape().expect("a preset")
    }

    fn check<F: Family>(ancestor: F, config: DescendantConfig, expected: F) {
        let ancestor = ancestor.shape().expect("possible");
        let shape = config.shape(&ancestor).expect("a possible descendant");
        assert_eq!(shape.get::<F>(), Some(&expected));
    }

    fn refused(ancestor: &Shape, config: DescendantConfig, message: &str) {
        let error = config.shape(ancestor).expect_err(message);
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn every_choice_reaches_the_shape() {
        check(Vit::deit_tiny(), DescendantConfig::default(), Vit::deit_tiny());
        let config = DescendantConfig {
            depth: 3.into(),
            heads: HeadPolicy::List(vec![6, 5, 1]),
            num_classes: Some(10),
            image_size: Some(96),
            ..Default::default()
        };
        let expected = Vit {
            num_heads: vec![6, 5, 1],
            hidden_dim: vec![768; 3],
            num_classes: 10,
            image_size: 96,
            ..Vit::deit_tiny()
        };
        check(Vit::deit_tiny(), config, expected);
        let config =
            DescendantConfig { layers: LayerPolicy::List(vec![0, 0, 11]), ..Default::default() };
        assert_eq!(config.shape(&deit()).expect("a list").depth(), 3);
    }

    #[test]
    fn hidden_widths_follow_the_inherited_layer_or_the_ratio() {
        let vit = |embed_dim, hidden_dim| Vit::new(embed_dim, vec![3; 3], 8, hidden_dim);
        let config =
            DescendantConfig { layers: "last".parse().expect("a policy"), ..Default::default() };
        check(vit(24, vec![96, 40, 72]), config.clone(), vit(24, vec![96, 40, 72]));
        let wider = DescendantConfig { embed_dim: Some(48), ..config.clone() };
        check(vit(24, vec![96, 40, 72]), wider, vit(48, vec![192, 80, 144]));
        let mlp_ratio = Some("8/3".parse().expect("a ratio"));
        let config = DescendantConfig { mlp_ratio, ..config };
        check(vit(24, vec![96, 40, 72]), config.clone(), vit(24, vec![64; 3]));
        let message = "layer 0: hidden width: found 800/3 (token width 100 at MLP ratio 8/3), \
                       expected a whole number of at least 1";
        refused(&deit(), DescendantConfig { embed_dim: Some(100), ..config }, message);
    }

    #[test]
    fn all_stages_change_at_once() {
        let config = DescendantConfig {
            depth: "x1/2".parse().expect("a depth"),
            heads: "x8".parse().expect("a ratio"),
            embed_dim: Some(48),
            ..Default::default()
        };
        let expected = Swin {
            depths: vec![1, 1, 3, 1],
            num_heads: vec![24, 48, 96, 96, 96, 192],
            embed_dim: 48,
            hidden_dim: vec![192, 384, 768, 768, 768, 1536],
            ..Swin::swin_tiny()
        };
        check(Swin::swin_tiny(), config, expected);
    }

    #[test]
    fn windows_keep_their_size() {
        let swin = Swin { window_size: 4, image_size: 32, ..Swin::uniform(16, &[1, 1], &[2, 2]) };
        let swin = swin.shape().expect("possible");
        let of_size = |side| DescendantConfig { image_size: Some(side), ..Default::default() };
        assert!(of_size(64).shape(&swin).is_ok());
        let message = "layer 1: side of its windows for images of 16 px: found 2 tokens, expected \
                       4, that of the ancestor's relative positions";
        refused(&swin, of_size(16), message);
    }

    /// Layer 1 of a stage, whose windows are shifted, comes to place 2, where they are not.
    #[test]
    fn layers_keep_their_shift_where_new_ones_are_the_identity() {
        let ancestor = Swin::swin_tiny().shape().expect("a preset");
        let grown = |layers, new_layers| {
            let depth = "4,4,12,4".parse().expect("a depth");
            DescendantConfig { depth, layers, new_layers, ..Default::default() }
        };
        let message = "layer 2: shift of its windows: found 0 tokens, expected 3, that of the \
                       ancestor's layer 1, where new layers are the identity; choose front layers, \
                       or a list in which layers keep even or odd places of their stage";
        refused(&ancestor, grown(LayerPolicy::Even, NewLayers::Identity), message);
        assert!(grown(LayerPolicy::Even, NewLayers::Copy).shape(&ancestor).is_ok());
        assert!(grown(LayerPolicy::Front, NewLayers::Identity).shape(&ancestor).is_ok());
    }

    #[test]
    fn the_depth_is_limited() {
        let depth = DescendantConfig { depth: 1025.into(), ..Default::default() };
        refused(&deit(), depth, "depth: found 1025, expected at most 1024");
    }

    #[test]
    fn a_classifier_of_other_classes_cannot_be_inherited() {
        let config = DescendantConfig {
            classifier: ClassifierPolicy::Inherit,
            num_classes: Some(10),
            ..Default::default()
        };
        let message = "classes of an inherited classifier: found 10, expected 1000, the ancestor's, \
                       or a fresh classifier";
        refused(&deit(), config, message);
    }
}
