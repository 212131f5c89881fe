//! A model of any family, described.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use learngene_tensors::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::{
    Family, ImageShape, LayerShape, LayerSizes, Parameter, Place, Reshape,
    family::{Erased, FAMILIES, Tagged},
};

/// What a model of any family is: its layers and every parameter. One that exists was checked.
///
/// Layers are counted from 0 through the whole model, also where it has stages. In files it is an
/// object whose field `family` tells the others.
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

    /// The preset of a timm model name, if there is one.
    pub fn preset(name: &str) -> Option<Self> {
        Self::presets().find(|(preset, _)| *preset == name).map(|(_, shape)| shape)
    }

    /// All models that have a name, as timm spells it.
    pub fn presets() -> impl Iterator<Item = (&'static str, Self)> {
        FAMILIES.iter().flat_map(|family| (family.presets)())
    }

    /// Reads the fields of a description, `family` among them.
    ///
    /// # Errors
    /// An unknown family; fields that are not its; a shape that no model can have.
    pub fn from_json(mut fields: Map<String, Value>) -> Result<Self> {
        let known = || FAMILIES.map(|family| family.key).join(" or ");
        let key = fields.remove("family");
        let family = FAMILIES.iter().find(|family| key.as_ref() == Some(&family.key.into()));
        match family {
            Some(family) => (family.from_json)(fields.into()),
            None => {
                let found = key.map_or("none".into(), |key| key.to_string());
                Err(Error::invalid("family of the model", found, known()))
            }
        }
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

    /// Classes told apart; 0 for a backbone without a classifier.
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
        assert_eq!(num_heads.len(), self.depth(), "one number of heads for each layer");
        let sizes = |layer: usize| LayerSizes {
            num_heads: num_heads[layer],
            hidden_dim: self.layer(layer).ffn.hidden_dim,
        };
        let stages = self.stages().into_iter();
        let layers = stages.map(|stage| stage.map(sizes).collect()).collect();
        self.reshaped(&Reshape { layers: Some(layers), ..Reshape::default() })
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

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Map::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, Swin, Vit};

    /// What every preset must keep to: the contract of a family.
    #[test]
    fn every_preset_keeps_the_contract() {
        for (name, shape) in Shape::presets() {
            assert_eq!(shape.reshaped(&Reshape::default()).expect(name), shape, "{name}");
            let json = serde_json::to_string(&shape).expect("plain data");
            assert!(json.starts_with(&format!(r#"{{"family":"{}","#, shape.family())), "{json}");
            assert_eq!(serde_json::from_str::<Shape>(&json).expect(name), shape);
            assert_eq!(shape.stages().last().map(|stage| stage.end), Some(shape.depth()));

            let parameters = shape.parameters();
            let names: std::collections::BTreeSet<_> = parameters.iter().map(|p| &p.name).collect();
            assert_eq!(names.len(), parameters.len(), "{name}: each name once");
            assert!(parameters.is_sorted_by_key(|p| p.place.depth(&shape)), "{name}: in order");
            for layer in 0..shape.depth() {
                let of_layer = shape.layer_parameters(layer);
                let LayerShape { heads, ffn, embed_dim, .. } = shape.layer(layer);
                let has = |axis: Axis| of_layer.iter().any(|p| p.axes.contains(&axis));
                assert!(has(Axis::Heads { roles: 3, layout: heads }), "{name}");
                assert!(has(Axis::Heads { roles: 1, layout: heads }), "{name}");
                let parts = ffn.kind.parts();
                assert!(has(Axis::Hidden { parts, width: ffn.hidden_dim }), "{name}");
                assert!(has(Axis::Stream { stage: shape.layer(layer).stage, width: embed_dim }));
            }
            let has_classifier = !shape.classifier_parameters().is_empty();
            assert_eq!(has_classifier, shape.num_classes() > 0, "{name}");
        }
    }

    #[test]
    fn heads_may_differ_by_layer() {
        let shape = Vit::uniform(48, 3, 3).shape().expect("possible");
        let other = shape.with_num_heads(&[1, 3, 5]).expect("possible");
        assert_eq!(other.num_heads(), [1, 3, 5]);
        assert_eq!(other.layer(2).heads.head_dim, 16);
        assert_ne!(other, shape);
        assert!(other.get::<Vit>().is_some() && other.get::<Swin>().is_none());
    }

    fn check_refused(json: &str, message: &str) {
        let error = serde_json::from_str::<Shape>(json).expect_err(message).to_string();
        assert!(error.starts_with(message), "{error}");
    }

    #[test]
    fn descriptions_that_no_family_has_are_refused() {
        check_refused("{}", "family of the model: found none, expected vit or swin");
        check_refused(r#"{"family":"cnn"}"#, r#"family of the model: found "cnn", expected"#);
        let message = "shape: found missing field `image_size`, expected the fields of a vit";
        check_refused(r#"{"family":"vit"}"#, message);
        let vit = Vit { image_size: 100, ..Vit::uniform(48, 2, 3) };
        let mut json = serde_json::to_value(&vit).expect("plain data");
        json["family"] = "vit".into();
        check_refused(&json.to_string(), "image_size: found 100, expected a multiple of the patch");
        json["image_size"] = 224.into();
        json["colour"] = "red".into();
        check_refused(&json.to_string(), "shape: found unknown field `colour`");
    }
}
