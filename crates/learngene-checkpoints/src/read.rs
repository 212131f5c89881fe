//! Reading checkpoints.

use std::{collections::BTreeMap, path::Path};

use super::{
    Checkpoint, CheckpointError, Note, Preprocessing, ReadOptions,
    change::{replace_classifier, resize_images},
    container::Container,
    family::Family,
    infer::{Context, Shapes, preset, swin, vit},
    layer_scale::{self, LayerScales},
    names::Names,
    pretrained_cfg::{PretrainedCfg, label_names},
    told::Told,
};
use crate::{HostTensor, ModelConfig, StateDict, StateDictError, SwinConfig, VitConfig};

/// Reads a checkpoint of a ViT, DeiT or Swin; see the [module](super) for what is accepted.
///
/// A classifier of zeros in place of another (see [`ReadOptions::num_classes`]) is how ViT is
/// fine-tuned: <https://arxiv.org/abs/2010.11929>, section 3.2.
///
/// # Errors
/// Says what in the file is damaged, of another family, missing, superfluous, of a wrong shape
/// or number format, not finite, or contradicted by a configuration; and which option is needed
/// where the number of heads, or a Swin's image size, cannot be told. See [`CheckpointError`].
pub fn read(path: &Path, options: &ReadOptions) -> Result<Checkpoint, CheckpointError> {
    options.arch.as_deref().map(preset).transpose()?;
    let mut container = Container::open(path)?;
    let names = Names::recognise(path, container.headers.keys().map(String::as_str))?;
    let mut notes = Vec::new();
    let keys: Vec<String> = container
        .headers
        .extract_if(.., |name, _| names.is_left_out(name))
        .map(|(name, _)| name)
        .collect();
    if !keys.is_empty() {
        notes.push(Note::LeftOut { keys });
    }
    let masks: Vec<(usize, usize)> = container
        .headers
        .extract_if(.., |name, _| names.is_buffer(name))
        .filter_map(|(name, buffer)| Some((names.stage_of_mask(&name)?, *buffer.shape.first()?)))
        .collect();
    let dtype = container.dtype()?;
    let scales = LayerScales::extract(&mut container).filter(|_| names.family == Family::Vit);
    let header = container.config.as_deref();
    let header = header.map(|json| Told::parse(format!("the header of {}", path.display()), json));
    let header = header.transpose()?;
    let preprocessing = Preprocessing::told(path, header.as_ref())?;
    let is_header = header.is_some();
    // The header speaks of this file, where a config.json may be of another in its folder.
    let told = match header {
        Some(header) => Some(header),
        None => Told::beside(path, "config.json")?,
    };
    told.iter().try_for_each(|told| told.check(names.family))?;
    let context = Context { path, options, names, told: told.as_ref() };
    context.check_preset()?;
    let mut config = infer(&context, &container, &masks, &mut notes)?;
    let header = told.as_ref().filter(|_| is_header);
    let label_names = header.map(|header| label_names(header, config.num_classes())).transpose()?;
    let label_names = label_names.unwrap_or_default();
    let mut pretrained_cfg = PretrainedCfg { preprocessing, label_names };
    let mut wanted = names.stored_shapes(&config);
    let has_scales = scales.is_some();
    if let Some(scales) = scales {
        wanted.extend(scales.wanted(&mut container, config.depth(), config.embed_dim()));
    }
    check_shapes(path, &container, &wanted)?;

    // A hash is of one byte after another: the longest of what is to be done, so it goes beside.
    let (sha256, parameters) =
        rayon::join(|| container.sha256(), || decode(&container, names, &config));
    let (sha256, mut parameters) = (sha256?, parameters?);
    if has_scales {
        layer_scale::fold(&mut parameters, config.depth(), |scale| container.values(scale))?;
        notes.push(Note::LayerScaleFolded);
    }
    if let (ModelConfig::Vit(config), Some(image_size)) = (&mut config, options.image_size) {
        notes.extend(resize_images(config, &mut parameters, image_size)?);
    }
    if let Some(num_classes) = options.num_classes
        && let Some(note) = replace_classifier(&mut config, &mut parameters, num_classes)
    {
        pretrained_cfg.label_names.clear();
        notes.push(note);
    }
    let dialect = names.dialect;
    Ok(Checkpoint { config, parameters, dtype, dialect, pretrained_cfg, sha256, notes })
}

/// Whether a file holds tensors in the names of a ViT, DeiT or Swin; what they are is not looked at.
pub fn is_checkpoint(path: &Path) -> bool {
    let opened = Container::open(path);
    opened.is_ok_and(|container| {
        Names::recognise(path, container.headers.keys().map(String::as_str)).is_ok()
    })
}

/// Every parameter of a model in timm's names, from those of the file.
fn decode(
    container: &Container,
    names: Names,
    config: &ModelConfig,
) -> Result<StateDict, CheckpointError> {
    let mut parameters = StateDict::default();
    for (name, shape) in config.parameter_shapes() {
        let parts = names.parts(&name, shape[0]);
        let mut parts = parts.iter().map(|part| container.values(&part.name));
        let mut values = parts.next().transpose()?.unwrap_or_default();
        for part in parts {
            values.extend(part?);
        }
        parameters.insert(name, HostTensor::new(shape, values));
    }
    Ok(parameters)
}

/// The shape of the model in a file.
///
/// Where tensors are missing that would tell it, the error lists all missing and unused names.
fn infer(
    context: &Context,
    container: &Container,
    masks: &[(usize, usize)],
    notes: &mut Vec<Note>,
) -> Result<ModelConfig, CheckpointError> {
    let names = context.names;
    let keys = || container.headers.keys().map(String::as_str);
    let depths = names.depths(keys());
    let same_names = same_names(names, &depths, keys().any(|key| names.is_classifier(key)));
    let shapes = shapes(container, names, &same_names);
    let unknown = || {
        let mut source = compare(container, &names.stored_shapes(&same_names));
        source.mismatched = shapes.too_flat();
        CheckpointError::Keys { path: context.path.into(), source }
    };
    Ok(match names.family {
        Family::Vit => {
            let measured = vit::Measured::of(&shapes, depths[0]).ok_or_else(unknown)?;
            measured.config(context, notes)?.into()
        }
        Family::Swin => {
            let measured = swin::Measured::of(&shapes, &depths, masks).ok_or_else(unknown)?;
            measured.config(context, notes)?.into()
        }
    })
}

/// A model of the same names as that of a file, which depend on the depth and on having a
/// classifier.
fn same_names(names: Names, depths: &[usize], has_classifier: bool) -> ModelConfig {
    let config: ModelConfig = match names.family {
        Family::Vit => VitConfig::uniform(1, depths[0], 1).with_patch_size(1).into(),
        Family::Swin => SwinConfig::uniform(1, depths, &vec![1; depths.len()])
            .with_patch_size(1)
            .with_window_size(1)
            .into(),
    };
    // As many halvings as there are stages leave one patch.
    let image_size = 1 << (depths.len() - 1);
    config.with_image_size(image_size).with_num_classes(has_classifier.into())
}

/// Shapes of the file's parameters, by timm's names.
fn shapes(container: &Container, names: Names, same_names: &ModelConfig) -> Shapes {
    let stored = same_names.parameter_shapes();
    let shapes = stored.into_keys().filter_map(|timm| {
        let parts = names.stored(&timm);
        let shapes: Option<Vec<_>> =
            parts.iter().map(|name| Some(container.headers.get(name)?.shape.clone())).collect();
        let shapes = shapes?;
        let mut shape = shapes[0].clone();
        if let Some(rows) = shape.first_mut() {
            *rows = shapes.iter().filter_map(|shape| shape.first()).sum();
        }
        Some((timm, shape))
    });
    Shapes(shapes.collect())
}

fn check_shapes(
    path: &Path,
    container: &Container,
    wanted: &BTreeMap<String, Vec<usize>>,
) -> Result<(), CheckpointError> {
    let source = compare(container, wanted);
    if source.missing.is_empty() && source.unused.is_empty() && source.mismatched.is_empty() {
        return Ok(());
    }
    Err(CheckpointError::Keys { path: path.into(), source })
}

/// Everything in which a file differs from the names and shapes wanted.
fn compare(container: &Container, wanted: &BTreeMap<String, Vec<usize>>) -> StateDictError {
    let found = &container.headers;
    let mismatched = wanted.iter().filter_map(|(name, wanted)| {
        let found = &found.get(name)?.shape;
        (found != wanted).then(|| format!("{name}: found {found:?}, wanted {wanted:?}"))
    });
    StateDictError {
        missing: wanted.keys().filter(|name| !found.contains_key(*name)).cloned().collect(),
        unused: found.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect(),
        mismatched: mismatched.collect(),
    }
}
