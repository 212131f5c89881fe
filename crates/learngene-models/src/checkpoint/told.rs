//! What is said of an architecture beside its tensors' shapes: Hugging Face's or timm's
//! config.json, or this crate's own configuration in a safetensors header.

use std::{fs, io, path::Path};

use serde_json::{Map, Value};

use super::{CheckpointError, container::read_error};
use crate::VitConfig;

/// A configuration that came with a checkpoint. Fields that it lacks are `None`.
#[derive(Debug)]
pub(super) struct Told {
    /// What to call it in an error.
    pub by: String,
    /// One number for all layers, or one per layer.
    pub num_heads: Option<Vec<usize>>,
    pub head_dim: Option<usize>,
    pub layer_norm_eps: Option<f64>,
    fields: Map<String, Value>,
}

impl Told {
    /// The file of this name beside a checkpoint, where there is one.
    pub fn beside(checkpoint: &Path, file: &str) -> Result<Option<Self>, CheckpointError> {
        let path = checkpoint.with_file_name(file);
        match fs::read_to_string(&path) {
            Ok(json) => Self::parse(path.display().to_string(), &json).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(read_error(&path, source)),
        }
    }

    /// Reads a configuration. Fields of no meaning here are left alone: transformers and timm
    /// store many that do not bear on the architecture.
    pub fn parse(by: String, json: &str) -> Result<Self, CheckpointError> {
        let fields: Map<String, Value> = match serde_json::from_str(json) {
            Ok(fields) => fields,
            Err(source) => return Err(CheckpointError::Config { told_by: by, source }),
        };
        let mut told = Self { by, num_heads: None, head_dim: None, layer_norm_eps: None, fields };
        told.expect_text("model_type", &["vit"])?;
        told.expect_text("hidden_act", &["gelu"])?;
        told.num_heads = told.heads()?;
        told.head_dim = told.size("head_dim")?;
        told.layer_norm_eps = told.eps()?;
        Ok(told)
    }

    /// The first of these fields that is there, with its value.
    pub fn first_size<'a>(
        &self,
        fields: &[&'a str],
    ) -> Result<Option<(&'a str, usize)>, CheckpointError> {
        for &field in fields {
            if let Some(size) = self.size(field)? {
                return Ok(Some((field, size)));
            }
        }
        Ok(None)
    }

    /// Number of class names, which transformers keeps in place of `num_classes`.
    pub fn num_labels(&self) -> Option<usize> {
        Some(self.fields.get("id2label")?.as_object()?.len())
    }

    /// One number for each of three channels, in a section of the configuration or at its root.
    pub fn channels(
        &self,
        section: Option<&str>,
        field: &str,
    ) -> Result<Option<[f32; 3]>, CheckpointError> {
        let fields = match section {
            Some(section) => self.fields.get(section).and_then(Value::as_object),
            None => Some(&self.fields),
        };
        let Some(value) = fields.and_then(|fields| fields.get(field)) else { return Ok(None) };
        let channels = serde_json::from_value(value.clone());
        channels.map(Some).map_err(|_| self.unfit(field, value, "three numbers"))
    }

    fn heads(&self) -> Result<Option<Vec<usize>>, CheckpointError> {
        // In timm's config.json the name of the architecture alone tells the heads.
        let preset = self.fields.get("architecture").and_then(Value::as_str);
        let preset = preset.and_then(VitConfig::preset).map(|preset| preset.num_heads);
        for field in ["num_heads", "num_attention_heads"] {
            let Some(value) = self.fields.get(field) else { continue };
            let heads = match value {
                Value::Array(layers) => layers.iter().map(as_size).collect(),
                number => as_size(number).map(|number| vec![number]),
            };
            let wanted = "a whole number or a list of them";
            return heads.map(Some).ok_or_else(|| self.unfit(field, value, wanted));
        }
        Ok(preset)
    }

    fn eps(&self) -> Result<Option<f64>, CheckpointError> {
        let Some(value) = self.fields.get("layer_norm_eps") else { return Ok(None) };
        match value.as_f64() {
            Some(eps) if eps > 0.0 => Ok(Some(eps)),
            _ => Err(self.unfit("layer_norm_eps", value, "a positive number")),
        }
    }

    fn size(&self, field: &str) -> Result<Option<usize>, CheckpointError> {
        let Some(value) = self.fields.get(field) else { return Ok(None) };
        as_size(value).map(Some).ok_or_else(|| self.unfit(field, value, "a whole number"))
    }

    fn expect_text(&self, field: &str, known: &[&'static str]) -> Result<(), CheckpointError> {
        match self.fields.get(field) {
            Some(value) if value.as_str().is_none_or(|text| !known.contains(&text)) => {
                Err(self.unfit(field, value, known[0]))
            }
            _ => Ok(()),
        }
    }

    fn unfit(&self, field: &str, found: &Value, wanted: &'static str) -> CheckpointError {
        let (told_by, field, found) = (self.by.clone(), field.into(), found.to_string());
        CheckpointError::ConfigField { told_by, field, found, wanted }
    }
}

fn as_size(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}
