//! What is said of a Swin, against what its tensors tell.

use super::super::Context;
use crate::{
    SwinConfig,
    checkpoint::{CheckpointError, told::Told},
};

/// Checks all that is said, by the caller, beside the file and in its header, but for windows and
/// images.
pub(super) fn check(context: &Context, found: &SwinConfig) -> Result<(), CheckpointError> {
    if let Some((by, preset)) = context.preset(SwinConfig::preset) {
        agree_with_preset(context, &by, found, &preset)?;
    }
    if let Some(heads) = &context.options.num_heads {
        agree_on_heads(context, "--num-heads", &of_layers(context, heads, found)?, found)?;
    }
    context.told.map_or(Ok(()), |told| agree_with_told(context, told, found))
}

/// `[stage][block]` of heads that a caller gives: one number for all layers, one for each stage, or
/// one for each layer.
fn of_layers(
    context: &Context,
    heads: &[usize],
    shape: &SwinConfig,
) -> Result<Vec<Vec<usize>>, CheckpointError> {
    let (depths, depth) = (shape.depths(), shape.depth());
    let of_stages = |heads: &[usize]| {
        depths.iter().zip(heads).map(|(depth, heads)| vec![*heads; *depth]).collect()
    };
    let mut rest = heads;
    match heads {
        [heads] => Ok(of_stages(&vec![*heads; depths.len()])),
        heads if heads.len() == depths.len() => Ok(of_stages(heads)),
        heads if heads.len() == depth => Ok(depths
            .iter()
            .map(|depth| {
                let (stage, others) = rest.split_at(*depth);
                rest = others;
                stage.to_vec()
            })
            .collect()),
        heads => Err(CheckpointError::HeadsPerLayer {
            path: context.path.into(),
            told_by: "--num-heads".into(),
            found: heads.len(),
            depth,
        }),
    }
}

/// A preset must be the model in the file but for image size and classes.
fn agree_with_preset(
    context: &Context,
    by: &str,
    found: &SwinConfig,
    preset: &SwinConfig,
) -> Result<(), CheckpointError> {
    context.same(by, "embed_dim", preset.embed_dim, found.embed_dim)?;
    context.same(by, "patch_size", preset.patch_size, found.patch_size)?;
    same_list(context, by, "depths", &preset.depths(), &found.depths())?;
    same_list(context, by, "mlp_hidden_dim", &preset.mlp_hidden_dim, &found.mlp_hidden_dim)?;
    agree_on_heads(context, by, &preset.num_heads, found)
}

/// Checks a configuration that came with the file against its tensors.
fn agree_with_told(
    context: &Context,
    told: &Told,
    found: &SwinConfig,
) -> Result<(), CheckpointError> {
    let stages = found.num_stages();
    context.agree(told, &["embed_dim"], found.embed_dim)?;
    context.agree(told, &["hidden_size"], found.stage_dim(stages - 1))?;
    context.agree(told, &["num_layers"], stages)?;
    let lists = [
        ("depths", found.depths()),
        ("head_dim", found.head_dim.clone()),
        ("mlp_hidden_dim", found.mlp_hidden_dim.clone()),
    ];
    for (field, found) in lists {
        if let Some(sizes) = told.sizes(field)? {
            same_list(context, &told.by, field, &sizes, &found)?;
        }
    }
    if let Some(ratio) = told.positive("mlp_ratio")? {
        let hidden = |stage| (ratio * found.stage_dim(stage) as f64) as usize;
        let hidden: Vec<usize> = (0..stages).map(hidden).collect();
        same_list(context, &told.by, "mlp_hidden_dim", &hidden, &found.mlp_hidden_dim)?;
    }
    if let Some(heads) = told.heads_of_blocks(&found.depths())? {
        agree_on_heads(context, &told.by, &heads, found)?;
    }
    context.agree_on_ends(told, &found.clone().into())
}

fn agree_on_heads(
    context: &Context,
    by: &str,
    told: &[Vec<usize>],
    found: &SwinConfig,
) -> Result<(), CheckpointError> {
    context.same(by, "length of num_heads", told.len(), found.num_stages())?;
    for (stage, (told, found)) in told.iter().zip(&found.num_heads).enumerate() {
        same_list(context, by, &format!("num_heads[{stage}]"), told, found)?;
    }
    Ok(())
}

fn same_list(
    context: &Context,
    by: &str,
    field: &str,
    told: &[usize],
    found: &[usize],
) -> Result<(), CheckpointError> {
    context.same(by, format!("length of {field}"), told.len(), found.len())?;
    for (index, (told, found)) in told.iter().zip(found).enumerate() {
        context.same(by, format!("{field}[{index}]"), *told, *found)?;
    }
    Ok(())
}
