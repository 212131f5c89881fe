//! From pixels to tokens.

use burn::{
    module::{Initializer, Module},
    nn,
    tensor::{Device, Tensor},
};
use learngene_shape::ImageShape;

/// Cuts an image into patches and projects each to a token.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// `[embed_dim, in_channels, patch_size, patch_size]`, stride equal to its size.
    pub proj: nn::conv::Conv2d,
    /// Norm of the tokens, in families that have one here.
    pub norm: Option<nn::LayerNorm>,
}

impl PatchEmbed {
    pub(crate) fn new(
        image: ImageShape,
        embed_dim: usize,
        norm: Option<nn::LayerNorm>,
        device: &Device,
    ) -> Self {
        let patch = [image.patch_size; 2];
        let proj = nn::conv::Conv2dConfig::new([image.channels, embed_dim], patch)
            .with_stride(patch)
            .with_initializer(Initializer::Zeros)
            .init(device);
        Self { proj, norm }
    }

    /// Projects patches, without the norm.
    ///
    /// Patches do not overlap, so the convolution is one matrix product over flattened patches.
    ///
    /// # Shapes
    /// - images: `[batch, in_channels, height, width]`
    /// - output: `[batch, patches, embed_dim]`, patches in raster order
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, channels, height, width] = images.dims();
        let weight = self.proj.weight.val();
        let [embed_dim, _, patch, _] = weight.dims();
        let (rows, columns) = (height / patch, width / patch);

        let patches = images
            .reshape([batch, channels, rows, patch, columns, patch])
            .permute([0, 2, 4, 1, 3, 5]) // [batch, rows, columns, channels, patch, patch]
            .reshape([batch, rows * columns, channels * patch * patch]);
        let weight = weight.reshape([embed_dim, channels * patch * patch]).transpose();
        let bias = self.proj.bias.as_ref().expect("the patch embedding has a bias").val();
        learngene_kernels::linear(patches, weight, bias)
    }
}
