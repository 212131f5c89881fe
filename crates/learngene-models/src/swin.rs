//! Swin.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};
use learngene_shape::{LayerShape, Shape, Swin};

use crate::{
    Block, PatchEmbed, PatchMerging,
    parts::{layer_norm, linear, norm},
};

/// A Swin Transformer whose parameter paths are timm's (0.9 and later).
#[derive(Module, Debug)]
pub struct SwinModule {
    /// From pixels to tokens, and their norm.
    pub patch_embed: PatchEmbed,
    /// The stages.
    pub layers: Vec<Stage>,
    /// Norm after the last layer.
    pub norm: nn::LayerNorm,
    /// Classifier on the mean token.
    pub head: ClassifierHead,
    pub(crate) layer_norm_eps: f64,
    #[module(skip)]
    pub(crate) shape: Shape,
}

/// Layers of one resolution.
#[derive(Module, Debug)]
pub struct Stage {
    /// From the resolution of the stage before; the first stage has none.
    pub downsample: Option<PatchMerging>,
    /// The layers.
    pub blocks: Vec<Block>,
}

/// The classifier, in timm's place.
#[derive(Module, Debug)]
pub struct ClassifierHead {
    /// `[num_features, num_classes]`
    pub fc: Option<nn::Linear>,
}

impl SwinModule {
    pub(crate) fn new(swin: &Swin, shape: &Shape, device: &Device) -> Self {
        let Swin { embed_dim, num_classes, layer_norm_eps: eps, .. } = *swin;
        let block = |layer: &LayerShape| block(*layer, eps, device);
        let stage = |layers: std::ops::Range<usize>| {
            let LayerShape { stage, embed_dim, .. } = shape.layer(layers.start);
            let merging = || PatchMerging::new(embed_dim, eps, device);
            Stage {
                downsample: (stage > 0).then(merging),
                blocks: shape.layers()[layers].iter().map(block).collect(),
            }
        };
        let features = shape.num_features();
        let patch_norm = norm(embed_dim, device);
        Self {
            patch_embed: PatchEmbed::new(shape.image(), embed_dim, Some(patch_norm), device),
            layers: shape.stages().into_iter().map(stage).collect(),
            norm: norm(features, device),
            head: ClassifierHead {
                fc: (num_classes > 0).then(|| linear(features, num_classes, device)),
            },
            layer_norm_eps: eps,
            shape: shape.clone(),
        }
    }

    /// A layer of other sizes, its weights still to be loaded.
    pub(crate) fn block(&self, shape: LayerShape, device: &Device) -> Block {
        block(shape, self.layer_norm_eps, device)
    }

    /// The normed patches: `[batch, patches, embed_dim]` to the same.
    pub(crate) fn tokens(&self, patches: Tensor<3>) -> Tensor<3> {
        let norm = self.patch_embed.norm.as_ref().expect("a Swin has a norm of its patches");
        layer_norm(norm, patches, self.layer_norm_eps)
    }

    /// Stage of a layer, and its place there.
    pub(crate) fn place(&self, layer: usize) -> (usize, usize) {
        let stage = self.shape.layer(layer).stage;
        let before: usize = self.layers[..stage].iter().map(|stage| stage.blocks.len()).sum();
        (stage, layer - before)
    }
}

fn block(shape: LayerShape, layer_norm_eps: f64, device: &Device) -> Block {
    let mut block = Block::new(shape, layer_norm_eps, device);
    block.attn = block.attn.with_relative_positions(device);
    block
}
