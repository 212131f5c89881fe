//! ViT and DeiT.

use burn::{
    module::{Module, Param},
    nn,
    tensor::{Device, Tensor},
};
use learngene_shape::{Shape, Vit};

use crate::{
    Block, PatchEmbed,
    parts::{linear, norm, weight},
};

/// A vision transformer whose parameter paths are timm's.
#[derive(Module, Debug)]
pub struct VitModule {
    /// Learnt token that gathers the image: `[1, 1, embed_dim]`.
    pub cls_token: Param<Tensor<3>>,
    /// Learnt positions of the class token and the patches: `[1, 1 + patches, embed_dim]`.
    pub pos_embed: Param<Tensor<3>>,
    /// From pixels to tokens.
    pub patch_embed: PatchEmbed,
    /// The transformer layers.
    pub blocks: Vec<Block>,
    /// Norm after the last layer.
    pub norm: nn::LayerNorm,
    /// Classifier on the class token: `[embed_dim, num_classes]`.
    pub head: Option<nn::Linear>,
    pub(crate) layer_norm_eps: f64,
    #[module(skip)]
    pub(crate) shape: Shape,
}

impl VitModule {
    pub(crate) fn new(vit: &Vit, shape: &Shape, device: &Device) -> Self {
        let Vit { embed_dim, num_classes, layer_norm_eps, .. } = *vit;
        let block = |layer: &_| Block::new(*layer, layer_norm_eps, device);
        Self {
            cls_token: weight([1, 1, embed_dim], device),
            pos_embed: weight([1, shape.layer(0).field.tokens(), embed_dim], device),
            patch_embed: PatchEmbed::new(shape.image(), embed_dim, None, device),
            blocks: shape.layers().iter().map(block).collect(),
            norm: norm(embed_dim, device),
            head: (num_classes > 0).then(|| linear(embed_dim, num_classes, device)),
            layer_norm_eps,
            shape: shape.clone(),
        }
    }

    /// The class token before the patches, and positions: `[batch, patches, embed_dim]` to
    /// `[batch, 1 + patches, embed_dim]`.
    pub(crate) fn tokens(&self, patches: Tensor<3>) -> Tensor<3> {
        let [batch, _, embed_dim] = patches.dims();
        let cls = self.cls_token.val().expand([batch, 1, embed_dim]);
        Tensor::cat(vec![cls, patches], 1) + self.pos_embed.val()
    }
}
