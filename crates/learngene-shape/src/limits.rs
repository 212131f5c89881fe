//! Largest sizes that a model may have, each far above any published one: a slip of the keyboard is
//! refused before memory is asked for it.

use learngene_tensors::{Error, Result};

/// Layers of all stages together.
pub const MAX_DEPTH: usize = 1024;
/// Heads of a layer.
pub const MAX_HEADS: usize = 1024;
/// Width of a token, of a head and of an FFN's hidden layer.
pub const MAX_WIDTH: usize = 1 << 16;
/// Number of classes.
pub const MAX_CLASSES: usize = 1 << 20;
/// Side of an image, and so of a patch, in pixels.
pub const MAX_IMAGE_SIZE: usize = 1 << 13;
/// Channels of an image.
pub const MAX_CHANNELS: usize = 1024;

/// Refuses a size of zero or above its limit.
pub(crate) fn positive(field: &str, found: usize, limit: usize) -> Result<()> {
    match found {
        0 => Err(Error::invalid(field, 0, "at least 1")),
        _ => at_most(field, found, limit),
    }
}

/// Refuses a size above its limit.
///
/// # Errors
/// Names the field, the size found and the limit.
pub fn at_most(field: &str, found: usize, limit: usize) -> Result<()> {
    if found > limit {
        return Err(Error::invalid(field, found, format!("at most {limit}")));
    }
    Ok(())
}

/// Checks a list of sizes, one for each of so many places.
pub(crate) fn each(field: &str, sizes: &[usize], count: usize, limit: usize) -> Result<()> {
    if sizes.len() != count {
        return Err(Error::invalid(field, format!("{} entries", sizes.len()), count));
    }
    let mut entries = sizes.iter().enumerate();
    entries.try_for_each(|(index, size)| positive(&format!("{field}[{index}]"), *size, limit))
}

/// Checks what all families have: images of whole patches, classes, and the epsilon of layer norms.
pub(crate) fn check_common(
    image: crate::ImageShape,
    num_classes: usize,
    layer_norm_eps: f64,
) -> Result<()> {
    let crate::ImageShape { size, patch_size, channels } = image;
    positive("image_size", size, MAX_IMAGE_SIZE)?;
    positive("patch_size", patch_size, MAX_IMAGE_SIZE)?;
    positive("in_channels", channels, MAX_CHANNELS)?;
    if !size.is_multiple_of(patch_size) {
        let expected = format!("a multiple of the patch size, {patch_size}");
        return Err(Error::invalid("image_size", size, expected));
    }
    at_most("num_classes", num_classes, MAX_CLASSES)?;
    if layer_norm_eps.is_finite() && layer_norm_eps > 0.0 {
        return Ok(());
    }
    Err(Error::invalid("layer_norm_eps", layer_norm_eps, "a positive, finite number"))
}
