//! ViT and DeiT.

mod attention;
mod block;
mod config;

use std::path::Path;

use burn::{
    module::{Initializer, Module, Param},
    nn,
    tensor::{Device, Tensor, assert_shape},
};

pub use attention::{Attention, AttentionOutput};
pub use block::Block;
pub use config::VitConfig;

use crate::{
    BranchScales, Classifier, LayerLinears, Mlp, ModelOutput, PatchEmbed, StateDict,
    StateDictError,
    checkpoint::{self, CheckpointError, Dialect, Dtype, PretrainedCfg},
    parts::{INIT_STD, apply, layer_norm, linear},
};

/// A vision transformer whose parameter paths are timm's.
#[derive(Module, Debug)]
pub struct Vit {
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
    image_size: usize,
    layer_norm_eps: f64,
}

impl VitConfig {
    /// A model with freshly drawn weights (normal, standard deviation .02) and zero biases.
    ///
    /// The draws come from the device's generator; `learngene-expansion` has an initialisation
    /// that depends on its seed alone.
    ///
    /// # Panics
    /// Panics on a shape that [`VitConfig::check`] refuses.
    pub fn init(&self, device: &Device) -> Vit {
        self.check().expect("the shape was checked by the caller");
        let normal = Initializer::Normal { mean: 0.0, std: INIT_STD };
        let seq = 1 + self.num_patches();
        Vit {
            cls_token: normal.init([1, 1, self.embed_dim], device),
            pos_embed: normal.init([1, seq, self.embed_dim], device),
            patch_embed: PatchEmbed::new(
                self.in_channels,
                self.embed_dim,
                self.patch_size,
                None,
                device,
            ),
            blocks: (0..self.depth()).map(|layer| Block::new(self, layer, device)).collect(),
            norm: nn::LayerNormConfig::new(self.embed_dim).init(device),
            head: (self.num_classes > 0).then(|| linear(self.embed_dim, self.num_classes, device)),
            image_size: self.image_size,
            layer_norm_eps: self.layer_norm_eps,
        }
    }

    /// A model with the given parameters.
    ///
    /// # Errors
    /// Lists every parameter that is missing, unused or of another shape.
    ///
    /// # Panics
    /// Panics on a shape that [`VitConfig::check`] refuses.
    pub fn load(&self, parameters: &StateDict, device: &Device) -> Result<Vit, StateDictError> {
        parameters.load_into(self.init(device))
    }
}

impl Vit {
    /// Runs the model and hands each layer's attention to `observe`, which may reduce it on the
    /// device before the next layer runs: maps of several layers are never held at once.
    ///
    /// # Shapes
    /// - images: `[batch, 3, image_size, image_size]`
    /// - attention: `[batch, num_heads, queries, keys]`
    /// - output: features of the class token, `[batch, embed_dim]`
    ///
    /// # Panics
    /// If there is no image, or the images are of another size than the model's.
    pub fn forward_observed(
        &self,
        images: Tensor<4>,
        mut observe: impl FnMut(usize, Tensor<4>),
    ) -> Tensor<2> {
        let mut tokens = self.embed(images); // [batch, 1 + patches, embed_dim]
        for (layer, block) in self.blocks.iter().enumerate() {
            let output = if self.is_last(layer) {
                block.forward_class_token_with_weights(tokens) // [batch, 1, embed_dim]
            } else {
                block.forward_with_weights(tokens)
            };
            observe(layer, output.weights);
            tokens = output.tokens;
        }
        self.pool(tokens)
    }

    /// Mean over the patches of the last layer's tokens after the final norm: other features than
    /// the class token's, which a DINOv2 backbone is often used with.
    ///
    /// # Shapes
    /// - images: `[batch, 3, image_size, image_size]`
    /// - output: `[batch, embed_dim]`
    ///
    /// # Panics
    /// As [`Vit::forward_observed`].
    pub fn patch_features(&self, images: Tensor<4>) -> Tensor<2> {
        let run = |tokens, block: &Block| block.forward(tokens, None);
        let tokens = self.blocks.iter().fold(self.embed(images), run);
        let patches = tokens.slice_dim(1, 1..); // [batch, patches, embed_dim]
        layer_norm(&self.norm, patches, self.layer_norm_eps).mean_dim(1).squeeze_dim(1)
    }

    /// Logits and the attention of every layer.
    ///
    /// # Shapes
    /// - images: `[batch, 3, image_size, image_size]`
    ///
    /// # Panics
    /// As [`Vit::forward_observed`].
    pub fn forward_attention(&self, images: Tensor<4>) -> ModelOutput {
        let mut attention = Vec::with_capacity(self.blocks.len());
        let features = self.forward_observed(images, |_, weights| attention.push(weights));
        ModelOutput { logits: self.classify(features), attention }
    }

    /// As [`Model::linears_mut`](crate::Model::linears_mut).
    pub fn linears_mut(&mut self, layer: usize) -> LayerLinears<'_> {
        let Block { attn, mlp, .. } = &mut self.blocks[layer];
        LayerLinears {
            qkv: &mut attn.qkv,
            proj: &mut attn.proj,
            fc1: &mut mlp.fc1,
            fc2: &mut mlp.fc2,
        }
    }

    /// The parts of a layer, for [`Model`](crate::Model)'s functions of these names.
    pub(crate) fn heads(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        self.blocks[layer].heads(tokens)
    }

    pub(crate) fn project(&self, layer: usize, heads: Tensor<3>) -> Tensor<3> {
        self.blocks[layer].attn.project(heads)
    }

    pub(crate) fn normed(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        self.blocks[layer].normed(tokens)
    }

    pub(crate) fn mlp(&self, layer: usize) -> &Mlp {
        &self.blocks[layer].mlp
    }

    /// Whether nobody but the classifier, which reads the class token, comes after that layer.
    fn is_last(&self, layer: usize) -> bool {
        layer + 1 == self.blocks.len()
    }

    /// The shape of this model.
    pub fn config(&self) -> VitConfig {
        let [embed_dim, in_channels, patch_size, _] = self.patch_embed.proj.weight.dims();
        let layouts = || self.blocks.iter().map(|block| block.attn.head_layout());
        VitConfig {
            embed_dim,
            num_heads: layouts().map(|layout| layout.num_heads).collect(),
            head_dim: layouts().map(|layout| layout.head_dim).next().unwrap_or(0),
            mlp_hidden_dim: self.blocks.first().map_or(0, |block| block.mlp.fc1.weight.dims()[1]),
            image_size: self.image_size,
            patch_size,
            in_channels,
            num_classes: self.num_classes(),
            layer_norm_eps: self.layer_norm_eps,
        }
    }
}

impl Classifier for Vit {
    /// `[batch, 3, image_size, image_size]` to `[batch, 1 + patches, embed_dim]`.
    fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, channels, _, _] = images.dims();
        assert!(batch > 0, "a forward pass needs at least one image, got none");
        assert_shape!(images, [batch, channels, self.image_size, self.image_size]);
        let patches = self.patch_embed.forward(images); // [batch, patches, embed_dim]
        let [_, _, embed_dim] = patches.dims();
        let cls = self.cls_token.val().expand([batch, 1, embed_dim]);
        Tensor::cat(vec![cls, patches], 1) + self.pos_embed.val()
    }

    fn num_layers(&self) -> usize {
        self.blocks.len()
    }

    /// Of the last layer the class token alone, `[batch, 1, embed_dim]`.
    fn forward_layer_scaled(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        scales: Option<&BranchScales>,
    ) -> Tensor<3> {
        let block = &self.blocks[layer];
        if self.is_last(layer) {
            block.forward_class_token(tokens, scales)
        } else {
            block.forward(tokens, scales)
        }
    }

    /// The class token's features, `[batch, embed_dim]`.
    ///
    /// The norm works token by token, so the class token is all that need pass through it.
    fn pool(&self, tokens: Tensor<3>) -> Tensor<2> {
        let cls = tokens.slice_dim(1, 0..1); // [batch, 1, embed_dim]
        layer_norm(&self.norm, cls, self.layer_norm_eps).squeeze_dim(1)
    }

    fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        match &self.head {
            Some(head) => apply(head, features),
            None => features,
        }
    }

    fn num_classes(&self) -> usize {
        self.head.as_ref().map_or(0, |head| head.weight.dims()[1])
    }

    fn image_size(&self) -> usize {
        self.image_size
    }

    fn save(
        &self,
        path: &Path,
        pretrained_cfg: Option<&PretrainedCfg>,
    ) -> Result<(), CheckpointError> {
        let config = self.config().into();
        let parameters = self.state_dict();
        checkpoint::write(path, &config, &parameters, Dialect::Timm, Dtype::F32, pretrained_cfg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> VitConfig {
        VitConfig::new(24, vec![3, 1, 2], 8, 40)
            .with_image_size(16)
            .with_patch_size(4)
            .with_num_classes(5)
    }

    #[test]
    fn layers_may_differ_in_heads() {
        let device = Device::flex();
        let output = tiny().init(&device).forward_attention(Tensor::ones([2, 3, 16, 16], &device));
        assert_eq!(output.logits.dims(), [2, 5]);
        let shapes: Vec<_> = output.attention.iter().map(|weights| weights.dims()).collect();
        assert_eq!(shapes, [[2, 3, 17, 17], [2, 1, 17, 17], [2, 2, 17, 17]]);
    }

    #[test]
    fn the_class_token_alone_is_what_it_is_among_all() {
        let device = Device::flex();
        let vit = tiny().init(&device);
        let tokens = vit.embed(Tensor::ones([2, 3, 16, 16], &device));
        let block = &vit.blocks[2];
        let alone = block.forward_class_token(tokens.clone(), None);
        assert_eq!(alone.dims(), [2, 1, 24]);
        let among_all = block.forward(tokens, None).slice_dim(1, 0..1);
        let worst: f32 = (alone - among_all).abs().max().into_scalar();
        assert!(worst < 1e-6, "{worst}");
    }

    #[test]
    fn class_token_and_mean_patch_are_all_tokens_after_the_norm() {
        let device = Device::flex();
        let vit = tiny().init(&device);
        let ramp = Tensor::arange(0..2 * 3 * 16 * 16, &device).float().reshape([2, 3, 16, 16]);
        let images = (ramp * 0.37).sin();
        let run = |tokens, block: &Block| block.forward_with_weights(tokens).tokens;
        let tokens = vit.blocks.iter().fold(vit.embed(images.clone()), run);
        let sum = layer_norm(&vit.norm, tokens, vit.layer_norm_eps).sum_dim(1).squeeze_dim(1);
        let patches = vit.patch_features(images.clone()) * 16.0;
        let worst: f32 = (vit.features(images) + patches - sum).abs().max().into_scalar();
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn attention_rows_sum_to_one() {
        let device = Device::flex();
        let output = tiny().init(&device).forward_attention(Tensor::ones([1, 3, 16, 16], &device));
        for weights in output.attention {
            let worst: f32 = (weights.sum_dim(3) - 1.0).abs().max().into_scalar();
            assert!(worst < 1e-6, "a row of attention sums to 1 +- {worst}");
        }
    }

    #[test]
    #[should_panic(expected = "a forward pass needs at least one image, got none")]
    fn a_batch_without_images_is_refused() {
        let device = Device::flex();
        tiny().init(&device).forward(Tensor::ones([0, 3, 16, 16], &device));
    }

    #[test]
    fn a_model_tells_its_own_shape() {
        assert_eq!(tiny().init(&Device::flex()).config(), tiny());
    }

    #[test]
    fn parameter_names_are_those_of_timm() {
        let names: Vec<String> =
            tiny().init(&Device::flex()).state_dict().names().map(String::from).collect();
        for name in [
            "cls_token",
            "pos_embed",
            "patch_embed.proj.weight",
            "blocks.2.attn.qkv.bias",
            "blocks.0.norm1.weight",
            "norm.bias",
            "head.weight",
        ] {
            assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
        }
        assert_eq!(names.len(), 8 + 3 * 12);
    }
}
