//! What is said of an architecture beside its tensors' shapes: Hugging Face's or timm's
//! config.json, or this crate's own configuration in a safetensors header.

use std::{fs, io, path::Path};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{CheckpointError, container::read_error, family::Family};
use crate::VitConfig;

/// A configuration that came with a checkpoint.
#[derive(Debug)]
pub(super) struct Told {
    /// What to call it in an error.
    pub by: String,
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
        match serde_json::from_str(json) {
            Ok(fields) => Ok(Self { by, fields }),
            Err(source) => Err(CheckpointError::Config { told_by: by, source }),
        }
    }

    /// Refuses a configuration of another kind of model, and fields of a wrong type also where an
    /// option will be asked first.
    pub fn check(&self, family: Family) -> Result<(), CheckpointError> {
        self.expect_text("family", family.key())?;
        self.expect_text("model_type", family.key())?;
        self.expect_text("hidden_act", "gelu")?;
        match family {
            Family::Vit => self.heads_of_layers().map(drop)?,
            Family::Swin => self.heads_of_blocks(&[]).map(drop)?,
        }
        self.eps().map(drop)
    }

    /// Heads of a ViT: one number for all layers, or one per layer.
    pub fn heads_of_layers(&self) -> Result<Option<Vec<usize>>, CheckpointError> {
        for field in ["num_heads", "num_attention_heads"] {
            if let Some(heads) = self.sizes(field)? {
                return Ok(Some(heads));
            }
        }
        // In timm's config.json the name of the architecture alone tells the heads.
        let preset = self.fields.get("architecture").and_then(Value::as_str);
        Ok(preset.and_then(VitConfig::preset).map(|preset| preset.num_heads))
    }

    /// `[stage][block]` of heads of a Swin that has so many layers in its stages, told as one number
    /// for each stage or for each layer of each stage.
    pub fn heads_of_blocks(
        &self,
        depths: &[usize],
    ) -> Result<Option<Vec<Vec<usize>>>, CheckpointError> {
        let Some(value) = self.fields.get("num_heads") else { return Ok(None) };
        let layers_of = |stage: usize| depths.get(stage).copied().unwrap_or(0);
        let of_stage = |(stage, heads): (usize, &Value)| match heads {
            Value::Array(blocks) => blocks.iter().map(as_size).collect(),
            heads => as_size(heads).map(|heads| vec![heads; layers_of(stage)]),
        };
        let stages =
            value.as_array().and_then(|list| list.iter().enumerate().map(of_stage).collect());
        let wanted = "a list of whole numbers, one for each stage or lists of one for each layer";
        stages.map(Some).ok_or_else(|| self.unfit("num_heads", value, wanted))
    }

    /// LayerNorm's epsilon.
    pub fn eps(&self) -> Result<Option<f64>, CheckpointError> {
        self.positive("layer_norm_eps")
    }

    /// Side of the images, in pixels, by our and transformers' name, or as timm has it.
    pub fn image_size(&self) -> Result<Option<usize>, CheckpointError> {
        if let Some(pixels) = self.size("image_size")? {
            return Ok(Some(pixels));
        }
        let timm = self.fields.get("pretrained_cfg").and_then(|section| section.get("input_size"));
        let Some(value) = timm else { return Ok(None) };
        match value.as_array().map(Vec::as_slice) {
            Some([_, height, width]) if height == width && height.is_u64() => Ok(as_size(height)),
            _ => Err(self.unfit("pretrained_cfg.input_size", value, "[channels, side, side]")),
        }
    }

    /// Number of class names, which transformers keeps in place of `num_classes`.
    pub fn num_labels(&self) -> Option<usize> {
        Some(self.fields.get("id2label")?.as_object()?.len())
    }

    /// What a field holds, in a section of the configuration or at its root; none for null.
    pub fn parsed<T: DeserializeOwned>(
        &self,
        section: Option<&str>,
        field: &str,
        is_valid: impl Fn(&T) -> bool,
        wanted: &'static str,
    ) -> Result<Option<T>, CheckpointError> {
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
                Err(self.unfit(&place, value, wanted))
            }
        }
    }

    /// A whole number.
    pub fn size(&self, field: &str) -> Result<Option<usize>, CheckpointError> {
        let Some(value) = self.fields.get(field) else { return Ok(None) };
        as_size(value).map(Some).ok_or_else(|| self.unfit(field, value, "a whole number"))
    }

    /// Whole numbers; one alone is a list of one.
    pub fn sizes(&self, field: &str) -> Result<Option<Vec<usize>>, CheckpointError> {
        let Some(value) = self.fields.get(field) else { return Ok(None) };
        let sizes = match value {
            Value::Array(list) => list.iter().map(as_size).collect(),
            number => as_size(number).map(|number| vec![number]),
        };
        let wanted = "a whole number or a list of them";
        sizes.map(Some).ok_or_else(|| self.unfit(field, value, wanted))
    }

    pub fn positive(&self, field: &str) -> Result<Option<f64>, CheckpointError> {
        let Some(value) = self.fields.get(field) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if number > 0.0 => Ok(Some(number)),
            _ => Err(self.unfit(field, value, "a positive number")),
        }
    }

    fn expect_text(&self, field: &str, wanted: &'static str) -> Result<(), CheckpointError> {
        match self.fields.get(field) {
            Some(value) if value != wanted => Err(self.unfit(field, value, wanted)),
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
