//! All families, and how files and names lead to them.

use learngene_tensors::{Error, Result};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::{Family, Shape, Swin, Vit};

/// Every family that files can name. A new one is a folder and a line here.
const FAMILIES: [Registration; 2] = [Registration::of::<Vit>(), Registration::of::<Swin>()];

/// How files and names lead to a family.
struct Registration {
    key: &'static str,
    from_json: fn(Value) -> Result<Shape>,
    presets: fn() -> Vec<(&'static str, Shape)>,
}

impl Registration {
    const fn of<F: Family>() -> Self {
        Self { key: F::KEY, from_json: from_json::<F>, presets: presets::<F> }
    }
}

fn from_json<F: Family>(fields: Value) -> Result<Shape> {
    let read = serde_json::from_value::<F>(fields);
    read.map_err(|error| Error::invalid("shape", error, format!("the fields of a {}", F::KEY)))?
        .shape()
}

fn presets<F: Family>() -> Vec<(&'static str, Shape)> {
    F::PRESETS.iter().map(|(name, make)| (*name, Shape::new(make()))).collect()
}

impl Shape {
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
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Map::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, LayerShape, Parameter, Place, Reshape};

    /// The parameters of a layer without its number and their lengths.
    fn roles(parameters: &[Parameter]) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
        let role = |p: &Parameter| {
            let name = p.name.replace(|character: char| character.is_ascii_digit(), "");
            let Place::Layer { part, .. } = p.place else { unreachable!("it is of a layer") };
            let axes: Vec<_> = p.axes.iter().map(std::mem::discriminant).collect();
            (name, part, axes, p.init, p.decays)
        };
        parameters.iter().map(role).collect()
    }

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
            assert!(
                parameters.is_sorted_by_key(|p| shape.place_depth(p.place)),
                "{name}: in order"
            );
            for layer in 0..shape.depth() {
                let of_layer = shape.layer_parameters(layer);
                assert_eq!(roles(&of_layer), roles(&shape.layer_parameters(0)), "{name}: in order");
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
