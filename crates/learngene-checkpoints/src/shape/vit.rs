//! The shape of a ViT.

use learngene_shape::{Family, FfnKind, Shape, Vit};
use learngene_tensors::{Error, Result};

use super::{Context, Sizes};
use crate::sidecar::{Sidecar, spread};

/// Heads of the ViTs of the papers by their embed_dim: ViT (<https://arxiv.org/abs/2010.11929>,
/// Table 1) and DeiT (<https://arxiv.org/abs/2012.12877>, Table 1). All but ViT-H have a head_dim
/// of 64; wider ones do not follow a rule.
const PUBLISHED_HEADS: [(usize, usize); 5] =
    [(192, 3), (384, 6), (768, 12), (1024, 16), (1280, 16)];

/// LayerNorm's epsilon where nothing gives it: that of timm's ViT and DeiT.
const LAYER_NORM_EPS: f64 = 1e-6;

/// See [`Infer`](super::Infer).
pub(super) fn shape(context: &Context, mut sizes: Sizes, notes: &mut Vec<String>) -> Result<Shape> {
    let (embed_dim, in_channels, patch_size) = sizes.patches();
    let [_, positions, _] = sizes.of("pos_embed");
    let depths = sizes.depths.clone();
    let layers: Vec<_> =
        (0..depths[0]).map(|layer| sizes.layer(&format!("blocks.{layer}"), embed_dim)).collect();
    let num_classes = sizes.classes("head");
    sizes.check(context.path)?;

    let image_size =
        grid(positions).map_err(|error| context.in_file(error))?.saturating_mul(patch_size);
    let attention_dims: Vec<usize> = layers.iter().map(|layer| layer.attention_dim).collect();
    let hidden_dim: Vec<usize> = layers.iter().map(|layer| layer.hidden_dim).collect();
    let is_gated = layers[0].hidden_dim.checked_mul(2) == Some(layers[0].fc1_rows);
    let ffn = context.sidecar.map(Sidecar::ffn).transpose()?.flatten();
    let ffn = ffn.unwrap_or(if is_gated { FfnKind::SwiGlu } else { FfnKind::Mlp });
    context.agree(
        &[
            (&["embed_dim", "hidden_size"], &[embed_dim]),
            (&["num_hidden_layers"], &[depths[0]]),
            (&["hidden_dim", "intermediate_size"], &hidden_dim),
            (&["patch_size"], &[patch_size]),
            (&["in_channels", "num_channels"], &[in_channels]),
        ],
        &depths,
    )?;
    if let Some(sidecar) = context.sidecar {
        sidecar.agree(&[(&["image_size"], &[image_size])], &depths, &context.tensors())?;
    }
    context.agree_on_classes(num_classes)?;
    let (num_heads, head_dim) = heads(context, embed_dim, &attention_dims, notes)?;
    let vit = Vit {
        image_size,
        patch_size,
        in_channels,
        embed_dim,
        num_heads,
        head_dim,
        hidden_dim,
        ffn,
        num_classes,
        layer_norm_eps: context.layer_norm_eps(LAYER_NORM_EPS)?,
    };
    vit.shape().map_err(|error| context.in_file(error))
}

/// Side of the square grid of patches that there are positions for, that of the class token among
/// them.
fn grid(positions: usize) -> Result<usize> {
    let patches = positions.saturating_sub(1);
    let side = patches.isqrt();
    if side * side == patches && side > 0 {
        return Ok(side);
    }
    let found = format!("{positions} positions");
    Err(Error::invalid("position embedding", found, "1 + the square of a grid's side"))
}

/// Heads of each layer and the width of one, from the first that gives them; all others must agree.
fn heads(
    context: &Context,
    embed_dim: usize,
    attention_dims: &[usize],
    notes: &mut Vec<String>,
) -> Result<(Vec<usize>, usize)> {
    let mut given = Vec::new();
    let of_options = context.options.num_heads.clone();
    given.extend(of_options.map(|heads| ("--num-heads".into(), false, heads)));
    for sidecar in context.sidecars() {
        let heads = sidecar.num_heads()?;
        given.extend(heads.map(|heads| (sidecar.name.clone(), sidecar.is_file, heads)));
    }
    let published = PUBLISHED_HEADS.iter().find(|(width, _)| *width == embed_dim);
    let (source, is_file, heads) = match (given.into_iter().next(), published) {
        (Some(given), _) => given,
        (None, Some((_, heads))) if attention_dims.iter().all(|dim| *dim == embed_dim) => {
            let head_dim = embed_dim / heads;
            notes.push(format!(
                "assumed heads {head_dim} wide, as in the published model of this width; pass \
                 --num-heads if it has others"
            ));
            ("the published model of this width".into(), false, vec![*heads])
        }
        _ => {
            let found = format!("layers whose heads together are {attention_dims:?} wide");
            let expected = "their number: pass --num-heads, or the name of a model with --arch";
            return Err(context.in_file(Error::invalid("number of heads", found, expected)));
        }
    };
    let (num_heads, head_dim) = split(&source, &heads, attention_dims).map_err(|error| {
        // What is not a file does not name the one that it is about.
        if is_file { error } else { error.in_file(context.path) }
    })?;
    let depths = [attention_dims.len()];
    for sidecar in context.sidecars() {
        if let Some(heads) = sidecar.num_heads()? {
            sidecar.agree_on("num_heads", &heads, &num_heads, &depths, &source)?;
        }
        let width = format!("the width of the attention over the heads from {source}");
        sidecar.agree(&[(&["head_dim"], &[head_dim])], &depths, &width)?;
    }
    Ok((num_heads, head_dim))
}

/// Checks that heads of one width fill each layer's attention.
fn split(source: &str, heads: &[usize], attention_dims: &[usize]) -> Result<(Vec<usize>, usize)> {
    let depth = attention_dims.len();
    let num_heads = spread(heads, depth, &[depth]).ok_or_else(|| {
        let found = format!("heads of {} layers", heads.len());
        Error::invalid(source, found, format!("one number, or one for each of {depth} layers"))
    })?;
    let head_dim = attention_dims[0].checked_div(num_heads[0]).unwrap_or(0);
    for (layer, (heads, dim)) in num_heads.iter().zip(attention_dims).enumerate() {
        if *heads == 0 || heads.checked_mul(head_dim) != Some(*dim) {
            let place = format!("{source}: layer {layer}");
            let expected = format!("a number of equally wide heads that fill its width of {dim}");
            return Err(Error::invalid(place, format!("{heads} heads"), expected));
        }
    }
    Ok((num_heads, head_dim))
}
