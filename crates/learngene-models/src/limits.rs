//! Largest sizes that a model may have, each far above any published one: a slip of the keyboard is
//! refused before memory is asked for it.

use crate::ShapeError;

/// Layers of all stages together.
pub const MAX_DEPTH: usize = 1024;
/// Heads of a layer.
pub const MAX_HEADS: usize = 1024;
/// Width of a token, of a head and of what a feed-forward network hides.
pub const MAX_WIDTH: usize = 1 << 16;
/// Classes told apart.
pub const MAX_CLASSES: usize = 1 << 20;
/// Side of an image, and so of a patch, in pixels.
pub const MAX_IMAGE_SIZE: usize = 1 << 13;
/// Channels of an image.
pub const MAX_CHANNELS: usize = 1024;

/// Refuses the first of these sizes, each with its limit, that is zero or above it.
pub(crate) fn check_sizes(
    sizes: impl IntoIterator<Item = (&'static str, usize, usize)>,
) -> Result<(), ShapeError> {
    sizes.into_iter().try_for_each(|(field, found, wanted)| match found {
        0 => Err(ShapeError::Zero { field }),
        _ => at_most(field, found, wanted),
    })
}

/// Refuses a size above its limit.
pub(crate) fn at_most(field: &'static str, found: usize, wanted: usize) -> Result<(), ShapeError> {
    if found > wanted { Err(ShapeError::TooLarge { field, found, wanted }) } else { Ok(()) }
}

/// Refuses the first layer without heads, or with too many.
pub(crate) fn check_heads<'a>(
    num_heads: impl IntoIterator<Item = &'a usize>,
) -> Result<(), ShapeError> {
    num_heads.into_iter().enumerate().try_for_each(|(layer, heads)| match heads {
        0 => Err(ShapeError::NoHeads { layer }),
        _ => at_most("number of heads in a layer", *heads, MAX_HEADS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SwinConfig, VitConfig};

    #[test]
    fn sizes_that_no_vit_has_are_named() {
        let config = || VitConfig::uniform(48, 2, 3);
        for (config, field, wanted) in [
            (VitConfig { embed_dim: usize::MAX, ..config() }, "embed_dim", 65_536),
            (VitConfig { head_dim: usize::MAX, ..config() }, "head_dim", 65_536),
            (VitConfig { mlp_hidden_dim: usize::MAX, ..config() }, "mlp_hidden_dim", 65_536),
            (config().with_image_size(usize::MAX), "image_size", 8192),
            (config().with_patch_size(usize::MAX), "patch_size", 8192),
            (config().with_in_channels(usize::MAX), "in_channels", 1024),
            (config().with_num_classes(usize::MAX), "num_classes", 1_048_576),
            (
                VitConfig { num_heads: vec![3, usize::MAX], ..config() },
                "number of heads in a layer",
                1024,
            ),
        ] {
            let found = usize::MAX;
            assert_eq!(config.check(), Err(ShapeError::TooLarge { field, found, wanted }));
        }
        let deep = VitConfig { num_heads: vec![3; 1025], ..config() };
        assert_eq!(
            deep.check().expect_err("too deep").to_string(),
            "depth of a vision transformer must be at most 1024, got 1025"
        );
    }

    #[test]
    fn sizes_that_no_swin_has_are_named() {
        let tiny = SwinConfig::swin_tiny;
        let many = 10_000_000_000;
        for (config, field, found, wanted) in [
            (SwinConfig { embed_dim: many, ..tiny() }, "embed_dim", many, 65_536),
            (
                SwinConfig { embed_dim: 65_536, ..tiny() },
                "width of the last stage",
                524_288,
                65_536,
            ),
            (SwinConfig { head_dim: vec![many; 4], ..tiny() }, "head_dim", many, 65_536),
            (
                SwinConfig { mlp_hidden_dim: vec![many; 4], ..tiny() },
                "mlp_hidden_dim",
                many,
                65_536,
            ),
            (tiny().with_image_size(many), "image_size", many, 8192),
            (tiny().with_patch_size(many), "patch_size", many, 8192),
            (tiny().with_in_channels(many), "in_channels", many, 1024),
            (tiny().with_num_classes(many), "num_classes", many, 1_048_576),
            (SwinConfig { num_heads: vec![vec![3; 600]; 4], ..tiny() }, "depth", 2400, 1024),
            (
                SwinConfig { num_heads: vec![vec![many]; 4], ..tiny() },
                "number of heads in a layer",
                many,
                1024,
            ),
        ] {
            assert_eq!(config.check(), Err(ShapeError::TooLarge { field, found, wanted }));
        }
        assert_eq!(tiny().with_window_size(many).check(), Ok(()), "it is cut down to the image");
    }
}
