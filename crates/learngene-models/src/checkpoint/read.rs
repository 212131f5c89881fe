//! Reading checkpoints.

use std::{collections::BTreeMap, path::Path};

use super::{
    Checkpoint, CheckpointError, Note, ReadOptions,
    container::Container,
    infer::{Measured, Shapes, preset},
    names::Names,
    resample::resample_pos_embed,
    told::Told,
};
use crate::{HostTensor, StateDict, StateDictError, VitConfig};

/// Reads a checkpoint of a ViT or DeiT; see the [module](super) for what is accepted.
///
/// A classifier of zeros in place of another (see [`ReadOptions::num_classes`]) is how ViT is
/// fine-tuned: <https://arxiv.org/abs/2010.11929>, section 3.2.
///
/// # Errors
/// Says what in the file is damaged, of another family, missing, superfluous, of a wrong shape
/// or number format, not finite, or contradicted by a configuration; and which option is needed
/// where the number of heads cannot be told. See [`CheckpointError`].
pub fn read(path: &Path, options: &ReadOptions) -> Result<Checkpoint, CheckpointError> {
    options.arch.as_deref().map(preset).transpose()?;
    let mut container = Container::open(path)?;
    let names = Names::recognise(path, container.headers.keys().map(String::as_str))?;
    let mut notes = Vec::new();
    let pooler: Vec<String> = container
        .headers
        .extract_if(.., |name, _| names.is_pooler(name))
        .map(|(name, _)| name)
        .collect();
    if !pooler.is_empty() {
        notes.push(Note::PoolerLeftOut { keys: pooler });
    }
    let dtype = container.dtype()?;

    let measured = measure(path, &container, names)?;
    let mut told: Vec<Told> = Told::beside(path, "config.json")?.into_iter().collect();
    if let Some(json) = &container.config {
        told.push(Told::parse(format!("the header of {}", path.display()), json)?);
    }
    let mut assumed = None;
    let mut config = measured.config(path, options, &told, &mut assumed)?;
    notes.extend(assumed.map(|head_dim| Note::HeadDimAssumed { head_dim }));
    check_shapes(path, &container, &names.stored_shapes(&config))?;

    // A hash is of one byte after another: the longest of what is to be done, so it goes beside.
    let (sha256, parameters) =
        rayon::join(|| container.sha256(), || decode(&container, names, &config));
    let (sha256, mut parameters) = (sha256?, parameters?);
    if let Some(image_size) = options.image_size {
        notes.extend(resize_images(&mut config, &mut parameters, image_size)?);
    }
    if let Some(num_classes) = options.num_classes {
        notes.extend(replace_classifier(&mut config, &mut parameters, num_classes));
    }
    Ok(Checkpoint { config: config.into(), parameters, dtype, dialect: names.dialect, sha256, notes })
}

/// Every parameter of a model in timm's names, from those of the file.
fn decode(
    container: &Container,
    names: Names,
    config: &VitConfig,
) -> Result<StateDict, CheckpointError> {
    let mut parameters = StateDict::default();
    for (name, shape) in config.parameter_shapes() {
        let parts = names.parts(&name, &shape, config);
        let mut parts = parts.iter().map(|part| container.values(&part.name));
        let mut values = parts.next().transpose()?.unwrap_or_default();
        for part in parts {
            values.extend(part?);
        }
        parameters.insert(name, HostTensor::new(shape, values));
    }
    Ok(parameters)
}

/// The sizes that the shapes tell.
///
/// Where tensors are missing that would tell them, the error lists all missing and unused names.
fn measure(path: &Path, container: &Container, names: Names) -> Result<Measured, CheckpointError> {
    let depth = depth(container, names);
    let classifier = container.headers.keys().any(|key| names.is_classifier(key));
    // A model of the same names: these depend on the depth and on having a classifier.
    let same_names = VitConfig::uniform(1, depth, 1)
        .with_image_size(1)
        .with_patch_size(1)
        .with_num_classes(classifier.into());
    let stored = same_names.parameter_shapes();
    let shapes = stored.keys().filter_map(|timm| {
        let parts = names.stored(timm);
        let shapes: Option<Vec<_>> =
            parts.iter().map(|name| Some(container.headers.get(name)?.shape.clone())).collect();
        let shapes = shapes?;
        let mut shape = shapes[0].clone();
        if let Some(rows) = shape.first_mut() {
            *rows = shapes.iter().filter_map(|shape| shape.first()).sum();
        }
        Some((timm.clone(), shape))
    });
    Shapes(shapes.collect()).measure(depth).map_err(|flat| {
        let mut source = compare(container, &names.stored_shapes(&same_names));
        source.mismatched = flat;
        CheckpointError::Keys { path: path.into(), source }
    })
}

/// Layers of the model: one more than the highest index, so that the names of lost layers are
/// reported, unless an index is beyond what a file of so many tensors can have; at least one.
fn depth(container: &Container, names: Names) -> usize {
    let layers = || container.headers.keys().filter_map(|key| names.layer(key));
    let plausible = layers().filter(|layer| *layer < container.headers.len());
    plausible.max().map_or(1, |last| last + 1)
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

fn resize_images(
    config: &mut VitConfig,
    parameters: &mut StateDict,
    image_size: usize,
) -> Result<Option<Note>, CheckpointError> {
    let (from, old_grid) = (config.image_size, config.grid_size());
    if image_size == from {
        return Ok(None);
    }
    config.image_size = image_size;
    config.check()?;
    let positions = parameters.remove("pos_embed").expect("shapes were checked by the caller");
    let positions = resample_pos_embed(&positions, old_grid, config.grid_size());
    parameters.insert("pos_embed", positions);
    Ok(Some(Note::PositionsResampled { from, to: image_size }))
}

fn replace_classifier(
    config: &mut VitConfig,
    parameters: &mut StateDict,
    num_classes: usize,
) -> Option<Note> {
    let from = config.num_classes;
    if num_classes == from {
        return None;
    }
    config.num_classes = num_classes;
    parameters.remove("head.weight");
    parameters.remove("head.bias");
    for (name, shape) in config.parameter_shapes() {
        if name.starts_with("head.") {
            let values = vec![0.0; shape.iter().product()];
            parameters.insert(name, HostTensor::new(shape, values));
        }
    }
    Some(Note::ClassifierReplaced { from, to: num_classes })
}
