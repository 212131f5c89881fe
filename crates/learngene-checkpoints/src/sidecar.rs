//! The model configuration found beside the tensors: ours in a safetensors header, or the config.json
//! of transformers, timm or this project.

use std::{fs, io, path::Path};

use learngene_shape::{FfnKind, Shape};
use learngene_tensors::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The section of timm's configurations and our headers that holds preprocessing and class names.
pub(crate) const PRETRAINED_CFG: Option<&str> = Some("pretrained_cfg");

/// A configuration of a model. Fields of no meaning here are left alone: transformers and timm store
/// many that do not bear on the shape.
#[derive(Debug)]
pub(crate) struct Sidecar {
    /// What to call it in an error.
    pub name: String,
    /// Whether it is a file, or in one, rather than named by an option.
    pub is_file: bool,
    fields: Map<String, Value>,
}

/// What a field must be where a configuration has it, by each of its names: one number, or one for
/// each layer or stage.
pub(crate) type Fact<'a> = (&'a [&'a str], &'a [usize]);

impl Sidecar {
    /// The file of this name beside a checkpoint, where there is one.
    pub fn beside(checkpoint: &Path, file: &str) -> Result<Option<Self>> {
        let path = checkpoint.with_file_name(file);
        match fs::read_to_string(&path) {
            Ok(json) => Self::parse(path.display().to_string(), &json).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::read(&path)(error)),
        }
    }

    /// Reads a configuration.
    pub fn parse(name: String, json: &str) -> Result<Self> {
        match serde_json::from_str(json) {
            Ok(fields) => Ok(Self { name, is_file: true, fields }),
            Err(error) => Err(Error::invalid(name, error, "a JSON object")),
        }
    }

    /// The preset that a caller names: a model like it but for its classes.
    pub fn preset(name: &str) -> Result<Self> {
        let Some(shape) = Shape::preset(name) else {
            let presets: Vec<&str> = Shape::presets().map(|(name, _)| name).collect();
            return Err(Error::invalid("--arch", name, format!("one of {}", presets.join(", "))));
        };
        let mut fields = to_fields(&shape);
        fields.remove("num_classes");
        Ok(Self { name: format!("--arch {name}"), is_file: false, fields })
    }

    /// Refuses a configuration of another kind of model than the file's.
    pub fn check_family(&self, family: &str) -> Result<()> {
        for (field, expected) in
            [("family", family), ("model_type", family), ("hidden_act", "gelu")]
        {
            match self.get(field) {
                Some(found) if found != expected => {
                    return Err(self.unfit(field, found, format!("\"{expected}\"")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuses what contradicts these facts, which come from the source of this name.
    pub fn agree(&self, facts: &[Fact], depths: &[usize], source: &str) -> Result<()> {
        for (names, expected) in facts {
            for field in *names {
                let Some(found) = self.sizes(field)? else { continue };
                self.agree_on(field, &found, expected, depths, source)?;
            }
        }
        Ok(())
    }

    /// Refuses numbers of this configuration that contradict those expected.
    pub fn agree_on(
        &self,
        field: &str,
        found: &[usize],
        expected: &[usize],
        depths: &[usize],
        source: &str,
    ) -> Result<()> {
        let unfit = |field: String, found: String, expected: String| {
            let place = format!("{}: {field}", self.name);
            Error::invalid(place, found, format!("{expected} to match {source}"))
        };
        let Some(spread) = spread(found, expected.len(), depths) else {
            let found = format!("{} entries", found.len());
            return Err(unfit(field.into(), found, expected.len().to_string()));
        };
        let mut pairs = spread.iter().zip(expected).enumerate();
        match pairs.find(|(_, (found, expected))| found != expected) {
            None => Ok(()),
            Some((index, (found, size))) => {
                let field = match expected {
                    [_] => field.into(),
                    _ => format!("{field}[{index}]"),
                };
                Err(unfit(field, found.to_string(), size.to_string()))
            }
        }
    }

    /// Heads: one number, or one for each layer or stage. timm's config.json gives them by the name
    /// of the architecture alone.
    pub fn num_heads(&self) -> Result<Option<Vec<usize>>> {
        for field in ["num_heads", "num_attention_heads"] {
            if let Some(heads) = self.sizes(field)? {
                return Ok(Some(heads));
            }
        }
        let preset = self.get("architecture").and_then(Value::as_str).and_then(Shape::preset);
        Ok(preset.map(|shape| shape.num_heads()))
    }

    /// Kind of all FFNs.
    pub fn ffn(&self) -> Result<Option<FfnKind>> {
        self.parsed(None, "ffn", |_| true, "\"mlp\" or \"swiglu\"")
    }

    /// LayerNorm's epsilon.
    pub fn layer_norm_eps(&self) -> Result<Option<f64>> {
        self.positive("layer_norm_eps")
    }

    /// Side of the images, in pixels, by our and transformers' name, or as timm has it.
    pub fn image_size(&self) -> Result<Option<usize>> {
        if let Some(pixels) = self.size("image_size")? {
            return Ok(Some(pixels));
        }
        let is_square = |[_, height, width]: &[usize; 3]| height == width;
        let expected = "[channels, side, side]";
        let size = self.parsed(PRETRAINED_CFG, "input_size", is_square, expected)?;
        Ok(size.map(|[_, side, _]| side))
    }

    /// Number of class names, which transformers keeps in place of `num_classes`.
    pub fn num_labels(&self) -> Option<usize> {
        Some(self.get("id2label")?.as_object()?.len())
    }

    /// What a field holds, in a section of the configuration or at its root.
    pub fn parsed<T: DeserializeOwned>(
        &self,
        section: Option<&str>,
        field: &str,
        is_valid: impl Fn(&T) -> bool,
        expected: &str,
    ) -> Result<Option<T>> {
        let fields = match section {
            Some(section) => self.fields.get(section).and_then(Value::as_object),
            None => Some(&self.fields),
        };
        let value = fields.and_then(|fields| fields.get(field)).filter(|value| !value.is_null());
        let Some(value) = value else { return Ok(None) };
        match serde_json::from_value(value.clone()) {
            Ok(parsed) if is_valid(&parsed) => Ok(Some(parsed)),
            _ => {
                let place = section.map_or(field.into(), |section| format!("{section}.{field}"));
                Err(self.unfit(&place, value, expected))
            }
        }
    }

    /// A whole number.
    pub fn size(&self, field: &str) -> Result<Option<usize>> {
        self.parsed(None, field, |_| true, "a whole number")
    }

    /// A positive number.
    pub fn positive(&self, field: &str) -> Result<Option<f64>> {
        self.parsed(None, field, |number| *number > 0.0, "a positive number")
    }

    /// Whole numbers: one alone, a list, or a list of lists, one after the other.
    fn sizes(&self, field: &str) -> Result<Option<Vec<usize>>> {
        fn flatten(value: &Value) -> Option<Vec<usize>> {
            match value {
                Value::Array(list) => {
                    let lists: Option<Vec<Vec<usize>>> = list.iter().map(flatten).collect();
                    Some(lists?.concat())
                }
                number => Some(vec![usize::try_from(number.as_u64()?).ok()?]),
            }
        }
        let Some(value) = self.get(field) else { return Ok(None) };
        let expected = "a whole number or a list of them";
        flatten(value).map(Some).ok_or_else(|| self.unfit(field, value, expected))
    }

    /// A field; none for null.
    fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// An error for a field of this configuration.
    pub fn unfit(
        &self,
        field: &str,
        found: impl std::fmt::Display,
        expected: impl std::fmt::Display,
    ) -> Error {
        Error::invalid(format!("{}: {field}", self.name), found, expected)
    }
}

/// Numbers for each of `count` places, from one for all, one for each, or one for each stage of a
/// model of so many layers in its stages.
pub(crate) fn spread(sizes: &[usize], count: usize, depths: &[usize]) -> Option<Vec<usize>> {
    if let [size] = sizes {
        return Some(vec![*size; count]);
    }
    if sizes.len() == count {
        return Some(sizes.into());
    }
    let is_of_stages = sizes.len() == depths.len() && count == depths.iter().sum::<usize>();
    let of_stage = |(size, depth): (&usize, &usize)| vec![*size; *depth];
    is_of_stages.then(|| sizes.iter().zip(depths).flat_map(of_stage).collect())
}

/// The fields of a shape as files have them.
fn to_fields(shape: &Shape) -> Map<String, Value> {
    match serde_json::to_value(shape) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("a shape is a JSON object, not {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_all_layers_for_each_or_for_each_stage() {
        assert_eq!(spread(&[3], 4, &[1, 3]), Some(vec![3; 4]));
        assert_eq!(spread(&[3, 6], 4, &[1, 3]), Some(vec![3, 6, 6, 6]));
        assert_eq!(spread(&[1, 2, 3, 4], 4, &[1, 3]), Some(vec![1, 2, 3, 4]));
        assert_eq!(spread(&[1, 2, 3], 4, &[1, 3]), None);
    }
}
