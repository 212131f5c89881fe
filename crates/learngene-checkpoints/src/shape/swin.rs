//! The shape of a Swin.

use learngene_shape::{Family, Shape, Swin};
use learngene_tensors::{Error, Result};

use super::{Context, Sizes, windows::Windows};
use crate::{
    Dialect,
    sidecar::{Fact, spread},
    unsupported::ffn_width,
};

/// LayerNorm's epsilon where nothing gives it: that of every published Swin.
pub(crate) const LAYER_NORM_EPS: f64 = 1e-5;

/// See [`Infer`](super::Infer).
pub(super) fn shape(context: &Context, mut sizes: Sizes, notes: &mut Vec<String>) -> Result<Shape> {
    let (embed_dim, in_channels, patch_size) = sizes.patches();
    let depths = sizes.depths.clone();
    let mut layers = Vec::new();
    let mut tables = Vec::new();
    for (stage, depth) in depths.iter().enumerate() {
        layers.extend((0..*depth).map(|block| {
            let name = format!("layers.{stage}.blocks.{block}");
            (stage, sizes.layer(&name, embed_dim << stage))
        }));
        let table = format!("layers.{stage}.blocks.0.attn.relative_position_bias_table");
        tables.push(sizes.of::<2>(&table));
    }
    let num_classes = sizes.classes("head.fc");
    let masks = sizes.masks;
    sizes.check(context.path)?;

    let windows = Windows::new(&tables, masks).map_err(|error| context.in_file(error))?;
    let head_dim = |stage: usize| {
        let first = depths[..stage].iter().sum::<usize>();
        let (dim, heads) = (layers[first].1.attention_dim, tables[stage][1]);
        let head_dim = dim.checked_div(heads).filter(|head_dim| head_dim * heads == dim);
        head_dim.filter(|head_dim| *head_dim > 0).ok_or_else(|| {
            let place = format!("layer {first}: table of relative positions");
            let expected = format!("a number that divides its attention of {dim}");
            Error::invalid(place, format!("{heads} heads"), expected)
        })
    };
    let head_dim = (0..depths.len()).map(head_dim).collect::<Result<Vec<_>>>();
    let head_dim = head_dim.map_err(|error| context.in_file(error))?;
    let swin = Swin {
        // This and the window are still to be found out.
        image_size: 1,
        patch_size,
        window_size: 1,
        in_channels,
        embed_dim,
        num_heads: layers.iter().map(|(stage, of)| of.attention_dim / head_dim[*stage]).collect(),
        head_dim,
        hidden_dim: layers.iter().map(|(_, layer)| layer.hidden_dim).collect(),
        depths,
        num_classes,
        layer_norm_eps: layer_norm_eps(context)?,
    };
    agree(context, &swin)?;
    let swin = windows.complete(swin, context, notes)?;
    swin.shape().map_err(|error| context.in_file(error))
}

/// Refuses what contradicts the tensors but for windows and images.
fn agree(context: &Context, swin: &Swin) -> Result<()> {
    let (stages, depths) = (swin.depths.len(), &swin.depths);
    if let Some(heads) = &context.options.num_heads {
        let spread = spread(heads, swin.num_heads.len(), depths);
        if spread.as_ref() != Some(&swin.num_heads) {
            let expected = format!("{:?} to match {}", swin.num_heads, context.tensors());
            return Err(Error::invalid("--num-heads", format!("{heads:?}"), expected));
        }
    }
    let facts: [Fact; 9] = [
        (&["embed_dim"], &[swin.embed_dim]),
        (&["hidden_size"], &[swin.stage_dim(stages - 1)]),
        (&["num_layers"], &[stages]),
        (&["depths"], depths),
        (&["num_heads"], &swin.num_heads),
        (&["head_dim"], &swin.head_dim),
        (&["hidden_dim"], &swin.hidden_dim),
        (&["patch_size"], &[swin.patch_size]),
        (&["in_channels", "num_channels"], &[swin.in_channels]),
    ];
    context.agree(&facts, depths)?;
    context.agree_on_classes(swin.num_classes)?;
    let Some(sidecar) = context.sidecar else { return Ok(()) };
    let Some(ratio) = sidecar.positive("mlp_ratio")? else { return Ok(()) };
    let hidden = |stage| ffn_width(ratio, swin.stage_dim(stage));
    let hidden: Vec<usize> = (0..stages).map(hidden).collect();
    if spread(&hidden, swin.hidden_dim.len(), depths).as_ref() != Some(&swin.hidden_dim) {
        let widths = &swin.hidden_dim;
        let expected = format!("hidden widths of {widths:?} to match {}", context.tensors());
        return Err(sidecar.unfit("mlp_ratio", format!("{ratio}"), expected));
    }
    Ok(())
}

/// LayerNorm's epsilon, the same in all norms.
fn layer_norm_eps(context: &Context) -> Result<f64> {
    if context.names.dialect() == Dialect::HuggingFace
        && context.options.layer_norm_eps.is_none()
        && let Some(sidecar) = context.sidecar
        && let Some(eps) = sidecar.layer_norm_eps()?.filter(|eps| *eps != LAYER_NORM_EPS)
    {
        let expected = "1e-5, which transformers has in a Swin's other norms";
        return Err(sidecar.unfit("layer_norm_eps", eps, expected));
    }
    context.layer_norm_eps(LAYER_NORM_EPS)
}
