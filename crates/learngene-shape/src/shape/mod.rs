//! A model of any family, described.

mod family;

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use learngene_tensors::Result;
use serde::{Serialize, Serializer};

use self::family::{Erased, Tagged};
use crate::{ImageShape, LayerShape, LayerSizes, Parameter, Place, Reshape};

pub use family::{Family, Preset};

/// What a model of any family is: its layers and every parameter. One that exists was checked.
///
/// Layers are counted from 0 through the whole model, also where it has stages. In files it is an
/// object whose field `family` determines the others.
#[derive(Clone)]
pub struct Shape {
    family: Arc<dyn Erased>,
    layers: Arc<[LayerShape]>,
}

impl Shape {
    /// A description that was checked.
    pub(crate) fn new<F: Family>(family: F) -> Self {
        let layers = family.layers().into();
        Self { family: Tagged::erase(family), layers }
    }

    /// The description of a model of this family, if it is one.
    pub fn get<F: Family>(&self) -> Option<&F> {
        self.family.as_any().downcast_ref()
    }

    /// Name of the family in files: `vit`.
    pub fn family(&self) -> &'static str {
        self.family.key()
    }

    /// The images that the model takes.
    pub fn image(&self) -> ImageShape {
        self.family.image()
    }

    /// Number of classes; 0 without a classifier.
    pub fn num_classes(&self) -> usize {
        self.family.num_classes()
    }

    /// The transformer layers, through all stages.
    pub fn layers(&self) -> &[LayerShape] {
        &self.layers
    }

    /// One layer.
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn layer(&self, layer: usize) -> LayerShape {
        self.layers[layer]
    }

    /// Number of layers, of all stages together.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Layers of each stage; a ViT is one stage.
    pub fn stages(&self) -> Vec<Range<usize>> {
        let mut stages = Vec::new();
        for layers in self.layers.chunk_by(|one, next| one.stage == next.stage) {
            let start = stages.last().map_or(0, |stage: &Range<usize>| stage.end);
            stages.push(start..start + layers.len());
        }
        stages
    }

    /// Heads of each layer.
    pub fn num_heads(&self) -> Vec<usize> {
        self.layers.iter().map(|layer| layer.heads.num_heads).collect()
    }

    /// Width of a token in the first layer.
    pub fn embed_dim(&self) -> usize {
        self.layers[0].embed_dim
    }

    /// Width of the features that the classifier reads.
    pub fn num_features(&self) -> usize {
        self.layers[self.depth() - 1].embed_dim
    }

    /// Every parameter of the model, from the images to the logits.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.family.parameters()
    }

    /// Names and shapes of all parameters.
    pub fn parameter_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.parameters().into_iter().map(|p| (p.name.clone(), p.shape())).collect()
    }

    /// The parameters of one layer.
    pub fn layer_parameters(&self, layer: usize) -> Vec<Parameter> {
        let is_of_layer = |p: &Parameter| p.place.layer() == Some(layer);
        self.parameters().into_iter().filter(is_of_layer).collect()
    }

    /// The parameters of the classifier; none where there is none.
    pub fn classifier_parameters(&self) -> Vec<Parameter> {
        let is_classifier = |p: &Parameter| p.place == Place::Classifier;
        self.parameters().into_iter().filter(is_classifier).collect()
    }

    /// How deep in the model a place is: 0 for the stem, `1 + layer` for a layer and for the merging
    /// of tokens before it, the last layer's for the final norm, and one more for the classifier.
    pub fn place_depth(&self, place: Place) -> usize {
        match place {
            Place::Stem => 0,
            Place::Merging { stage } => 1 + self.stages()[stage].start,
            Place::Layer { layer, .. } => 1 + layer,
            Place::FinalNorm => self.depth(),
            Place::Classifier => 1 + self.depth(),
        }
    }

    /// The first field in which another description differs: its name, its value here and there.
    pub fn first_difference(&self, other: &Self) -> Option<(String, String, String)> {
        let fields = |shape: &Self| match serde_json::to_value(shape) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => unreachable!("a description is an object"),
        };
        let (ours, theirs) = (fields(self), fields(other));
        if ours["family"] != theirs["family"] {
            return Some(("family".into(), self.family().into(), other.family().into()));
        }
        let (name, value) = ours.iter().find(|(name, value)| theirs.get(*name) != Some(*value))?;
        Some((name.clone(), value.to_string(), theirs[name].to_string()))
    }

    /// The same model with other layers, widths, image size or classes. What is absent stays.
    ///
    /// # Errors
    /// A shape that no model of the family can have.
    pub fn reshaped(&self, to: &Reshape) -> Result<Self> {
        self.family.reshaped(to)
    }

    /// The same model for another number of classes.
    ///
    /// # Errors
    /// More classes than a model may have.
    pub fn with_num_classes(&self, num_classes: usize) -> Result<Self> {
        self.reshaped(&Reshape { num_classes: Some(num_classes), ..Reshape::default() })
    }

    /// The same model for images of another side, in pixels.
    ///
    /// # Errors
    /// A side that the model cannot take.
    pub fn with_image_size(&self, image_size: usize) -> Result<Self> {
        self.reshaped(&Reshape { image_size: Some(image_size), ..Reshape::default() })
    }

    /// The same model with other heads in each layer.
    ///
    /// # Errors
    /// A layer without heads, or with too many.
    ///
    /// # Panics
    /// Panics where there is not one number for each layer.
    pub fn with_num_heads(&self, num_heads: &[usize]) -> Result<Self> {
        let sizes = num_heads.iter().zip(self.layers.iter());
        let sizes = sizes
            .map(|(&num_heads, layer)| LayerSizes { num_heads, hidden_dim: layer.ffn.hidden_dim });
        self.with_layer_sizes(&sizes.collect::<Vec<_>>())
    }

    /// The same model with other heads and hidden units in each layer.
    ///
    /// # Errors
    /// A layer without heads or hidden units, or with too many.
    ///
    /// # Panics
    /// Panics where there are not as many layers.
    pub fn with_layer_sizes(&self, sizes: &[LayerSizes]) -> Result<Self> {
        assert_eq!(sizes.len(), self.depth(), "sizes of each layer");
        let layers = self.stages().into_iter().map(|stage| sizes[stage].to_vec()).collect();
        self.reshaped(&Reshape { layers: Some(layers), ..Reshape::default() })
    }

    /// Heads and hidden units of each layer.
    pub fn layer_sizes(&self) -> Vec<LayerSizes> {
        let sizes = |layer: &LayerShape| LayerSizes {
            num_heads: layer.heads.num_heads,
            hidden_dim: layer.ffn.hidden_dim,
        };
        self.layers.iter().map(sizes).collect()
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.family.equals(&*other.family)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.family.fmt(f)
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        erased_serde::serialize(self.family.as_serialize(), serializer)
    }
}
