use super::{check_length, inconsistent};
use crate::{Architecture, Error, SwinArchitecture, VitArchitecture};

/// Largest size accepted, far above any model there is: a slip of the keyboard, or a forged number, is
/// refused before anybody computes with it.
const MAX_SIZE: usize = 1 << 24;

pub(super) fn check(architecture: &Architecture) -> Result<(), Error> {
    match architecture {
        Architecture::Vit(vit) => check_vit(vit),
        Architecture::Swin(swin) => check_swin(swin),
    }
}

fn check_vit(vit: &VitArchitecture) -> Result<(), Error> {
    check_sizes(&[
        ("image_size", vit.image_size),
        ("patch_size", vit.patch_size),
        ("in_channels", vit.in_channels),
        ("embed_dim", vit.embed_dim),
        ("depth", vit.depth),
        ("head_dim", vit.head_dim),
        ("mlp_hidden_dim", vit.mlp_hidden_dim),
    ])?;
    check_patches(vit.image_size, vit.patch_size)?;
    check_length("architecture.num_heads", vit.num_heads.len(), vit.depth)?;
    check_list("num_heads", &vit.num_heads)?;
    check_classes(vit.num_classes)?;
    check_eps(vit.layer_norm_eps)
}

fn check_swin(swin: &SwinArchitecture) -> Result<(), Error> {
    check_sizes(&[
        ("image_size", swin.image_size),
        ("patch_size", swin.patch_size),
        ("window_size", swin.window_size),
        ("in_channels", swin.in_channels),
        ("embed_dim", swin.embed_dim),
    ])?;
    check_patches(swin.image_size, swin.patch_size)?;
    check_list("depths", &swin.depths)?;
    let stages = swin.depths.len();
    let grid = swin.image_size / swin.patch_size;
    if stages == 0 {
        return Err(inconsistent("architecture.depths", "no stage", "at least one"));
    }
    // Each stage has half the resolution of the one before.
    if stages - 1 > grid.trailing_zeros() as usize {
        let wanted = format!("stages that halve the side of {grid} patches without a rest");
        return Err(inconsistent("architecture.depths", format!("{stages} stages"), wanted));
    }
    let widest = swin.stage_dim(stages - 1);
    if widest > MAX_SIZE {
        let wanted = format!("at most {MAX_SIZE} in the last of {stages} stages, not {widest}");
        return Err(inconsistent("architecture.embed_dim", swin.embed_dim, wanted));
    }
    for stage in 0..stages {
        let (resolution, window) = (grid >> stage, swin.window(stage));
        if !resolution.is_multiple_of(window) {
            let wanted = format!("a divisor of the {resolution} tokens a side of stage {stage}");
            return Err(inconsistent("architecture.window_size", swin.window_size, wanted));
        }
    }
    for (field, list) in [("head_dim", &swin.head_dim), ("mlp_hidden_dim", &swin.mlp_hidden_dim)] {
        check_length(&format!("architecture.{field}"), list.len(), stages)?;
        check_list(field, list)?;
    }
    check_length("architecture.num_heads", swin.num_heads.len(), swin.depth())?;
    check_list("num_heads", &swin.num_heads)?;
    check_classes(swin.num_classes)?;
    check_eps(swin.layer_norm_eps)
}

fn check_sizes(sizes: &[(&str, usize)]) -> Result<(), Error> {
    match sizes.iter().find(|(_, size)| !(1..=MAX_SIZE).contains(size)) {
        None => Ok(()),
        Some((name, size)) => {
            let field = format!("architecture.{name}");
            Err(inconsistent(field, size, format!("1 to {MAX_SIZE}")))
        }
    }
}

/// A model without a classifier has no classes.
fn check_classes(num_classes: usize) -> Result<(), Error> {
    if num_classes <= MAX_SIZE {
        return Ok(());
    }
    Err(inconsistent("architecture.num_classes", num_classes, format!("0 to {MAX_SIZE}")))
}

fn check_list(field: &str, sizes: &[usize]) -> Result<(), Error> {
    for (index, &size) in sizes.iter().enumerate() {
        check_sizes(&[(&format!("{field}[{index}]"), size)])?;
    }
    Ok(())
}

fn check_patches(image_size: usize, patch_size: usize) -> Result<(), Error> {
    if image_size.is_multiple_of(patch_size) {
        return Ok(());
    }
    let wanted = format!("a multiple of patch_size {patch_size}");
    Err(inconsistent("architecture.image_size", image_size, wanted))
}

fn check_eps(layer_norm_eps: f64) -> Result<(), Error> {
    if layer_norm_eps.is_finite() && layer_norm_eps > 0.0 {
        return Ok(());
    }
    let field = "architecture.layer_norm_eps";
    Err(inconsistent(field, layer_norm_eps, "a positive, finite number"))
}
