//! Reading checkpoints: container, names, shape, parameters.

use std::path::Path;

use learngene_shape::Shape;
use learngene_tensors::{Result, Sha256, StateDict, Tensor};

use crate::{
    Checkpoint, PretrainedCfg, ReadOptions,
    change::{replace_classifier, resize_images},
    container::Container,
    layer_scale,
    names::Names,
    shape::Context,
    sidecar::Sidecar,
};

/// Reads a checkpoint of a ViT, DeiT or Swin; see the [crate](crate) for what is accepted.
///
/// A classifier of zeros in place of another (see [`ReadOptions::num_classes`]) is how ViT is
/// fine-tuned: <https://arxiv.org/abs/2010.11929>, section 3.2.
///
/// # Errors
/// What in the file is damaged, of another family, missing, superfluous, of a wrong shape or number
/// format, not finite, or contradicted by a configuration; and which option is needed where nothing
/// gives the number of heads, or a Swin's image size.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Checkpoint> {
    let preset = options.arch.as_deref().map(Sidecar::preset).transpose()?;
    let mut container = Container::open(path)?;
    let names = Names::recognise(container.names()).map_err(|error| error.in_file(path))?;
    let mut notes = Vec::new();
    let left_out = container.take(|name| names.is_left_out(name));
    if !left_out.is_empty() {
        let left_out: Vec<String> = left_out.into_iter().map(|(name, _)| name).collect();
        notes.push(format!("left out what no classifier uses: {}", left_out.join(", ")));
    }
    let buffers = container.take(|name| names.is_buffer(name)).into_iter();
    let masks: Vec<(usize, usize)> = buffers
        .filter_map(|(name, mask)| Some((names.stage_of_mask(&name)?, *mask.shape.first()?)))
        .collect();
    let dtype = container.dtype()?;

    let header = container.config.as_deref();
    let header = header.map(|json| Sidecar::parse(format!("header of {}", path.display()), json));
    let header = header.transpose()?;
    // The header speaks of this file, where a config.json may be of another in its folder.
    let beside = match header {
        Some(_) => None,
        None => Sidecar::beside(path, "config.json")?,
    };
    let sidecar = header.as_ref().or(beside.as_ref());
    let context = Context { path, options, names, sidecar, preset: preset.as_ref() };
    let mut shape = context.shape(&container, &masks, &mut notes)?;
    let mut pretrained_cfg = PretrainedCfg::found(path, header.as_ref(), shape.num_classes())?;

    let scales = layer_scale::wanted(names, container.names(), &shape);
    let mut wanted = names.stored_shapes(&shape);
    wanted.extend(scales.clone());
    container.check_shapes(&wanted)?;
    // A hash is of one byte after another: the longest of what is to be done, so it goes beside.
    let (sha256, parameters) =
        rayon::join(|| Sha256::of_file(path), || decode(&container, names, &shape));
    let (sha256, mut parameters) = (sha256?, parameters?);
    if !scales.is_empty() {
        layer_scale::fold(&mut parameters, shape.depth(), |scale| container.values(scale))?;
        notes.push("folded LayerScale into the weights that it follows".into());
    }

    if let Some(image_size) = options.image_size {
        let resized = resize_images(&mut shape, &mut parameters, image_size);
        notes.extend(resized.map_err(|error| error.in_file(path))?);
    }
    if let Some(num_classes) = options.num_classes
        && let Some(note) = replace_classifier(&mut shape, &mut parameters, num_classes)?
    {
        pretrained_cfg.label_names.clear();
        notes.push(note);
    }
    let dialect = names.dialect();
    Ok(Checkpoint { shape, parameters, dtype, dialect, pretrained_cfg, sha256, notes })
}

/// Whether a file holds tensors in the names of a ViT, DeiT or Swin; their shapes are not looked at.
pub fn is_checkpoint(path: &Path) -> bool {
    Container::open(path).is_ok_and(|container| Names::recognise(container.names()).is_ok())
}

/// Every parameter of a model in timm's names, from those of the file.
fn decode(container: &Container, names: Names, shape: &Shape) -> Result<StateDict> {
    let mut parameters = StateDict::default();
    for (name, shape) in shape.parameter_shapes() {
        let mut parts = names.stored(&name).map(|part| container.values(&part));
        let mut values = parts.next().transpose()?.unwrap_or_default();
        for part in parts {
            values.extend(part?);
        }
        parameters.insert(name, Tensor::new(shape, values));
    }
    Ok(parameters)
}
