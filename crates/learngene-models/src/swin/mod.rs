//! Swin.

mod attention;
mod block;
mod config;
mod merging;
mod windows;

use std::path::Path;

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor, assert_shape},
};

pub use attention::WindowAttention;
pub use block::SwinBlock;
pub use config::SwinConfig;
pub use merging::PatchMerging;

use crate::{
    BranchScales, Classifier, LayerLinears, Mlp, ModelOutput, PatchEmbed, StateDict,
    StateDictError,
    checkpoint::{self, CheckpointError, Dialect, Dtype, PretrainedCfg},
    parts::{apply, layer_norm, linear},
};

/// A Swin Transformer whose parameter paths are timm's (0.9 and later).
#[derive(Module, Debug)]
pub struct Swin {
    /// From pixels to tokens, and their norm.
    pub patch_embed: PatchEmbed,
    /// The stages.
    pub layers: Vec<Stage>,
    /// Norm after the last layer.
    pub norm: nn::LayerNorm,
    /// Classifier on the mean token.
    pub head: Head,
    image_size: usize,
    window_size: usize,
    layer_norm_eps: f64,
}

/// Layers of one resolution.
#[derive(Module, Debug)]
pub struct Stage {
    /// From the resolution of the stage before; the first stage has none.
    pub downsample: Option<PatchMerging>,
    /// The layers.
    pub blocks: Vec<SwinBlock>,
}

/// The classifier, in timm's place.
#[derive(Module, Debug)]
pub struct Head {
    /// `[num_features, num_classes]`
    pub fc: Option<nn::Linear>,
}

impl SwinConfig {
    /// A model with freshly drawn weights; see [`ModelConfig::init`](crate::ModelConfig::init).
    ///
    /// # Panics
    /// Panics on a shape that [`SwinConfig::check`] refuses.
    pub fn init(&self, device: &Device) -> Swin {
        self.check().expect("the shape was checked by the caller");
        let norm = |dim| nn::LayerNormConfig::new(dim).init(device);
        let first_layers = |stage: usize| self.num_heads[..stage].iter().map(Vec::len).sum();
        let stage = |stage: usize| {
            let first: usize = first_layers(stage);
            let merging = || PatchMerging::new(self, stage, device);
            Stage {
                downsample: (stage > 0).then(merging),
                blocks: (0..self.num_heads[stage].len())
                    .map(|block| SwinBlock::new(self, first + block, device))
                    .collect(),
            }
        };
        let features = self.stage_dim(self.num_stages() - 1);
        let classes = self.num_classes;
        Swin {
            patch_embed: PatchEmbed::new(
                self.in_channels,
                self.embed_dim,
                self.patch_size,
                Some(norm(self.embed_dim)),
                device,
            ),
            layers: (0..self.num_stages()).map(stage).collect(),
            norm: norm(features),
            head: Head { fc: (classes > 0).then(|| linear(features, classes, device)) },
            image_size: self.image_size,
            window_size: self.window_size,
            layer_norm_eps: self.layer_norm_eps,
        }
    }

    /// A model with the given parameters.
    ///
    /// # Errors
    /// Lists every parameter that is missing, unused or of another shape.
    ///
    /// # Panics
    /// Panics on a shape that [`SwinConfig::check`] refuses.
    pub fn load(&self, parameters: &StateDict, device: &Device) -> Result<Swin, StateDictError> {
        parameters.load_into(self.init(device))
    }
}

impl Swin {
    /// As [`Model::forward_observed`](crate::Model::forward_observed).
    ///
    /// # Shapes
    /// - images: `[batch, 3, image_size, image_size]`
    /// - attention: `[batch * windows, num_heads, queries, keys]`
    /// - output: the mean token's features, `[batch, num_features]`
    ///
    /// # Panics
    /// If there is no image, or the images are of another size than the model's.
    pub fn forward_observed(
        &self,
        images: Tensor<4>,
        mut observe: impl FnMut(usize, Tensor<4>),
    ) -> Tensor<2> {
        let mut tokens = self.embed(images);
        for layer in 0..self.num_layers() {
            let (stage, block) = self.place(layer);
            tokens = self.enter(stage, block, tokens);
            let output = self.layers[stage].blocks[block].forward_with_weights(tokens);
            observe(layer, output.weights);
            tokens = output.tokens;
        }
        self.pool(tokens)
    }

    /// Logits and the attention of every layer.
    ///
    /// # Panics
    /// As [`Swin::forward_observed`].
    pub fn forward_attention(&self, images: Tensor<4>) -> ModelOutput {
        let mut attention = Vec::new();
        let features = self.forward_observed(images, |_, weights| attention.push(weights));
        ModelOutput { logits: self.classify(features), attention }
    }

    /// As [`Model::linears_mut`](crate::Model::linears_mut).
    pub fn linears_mut(&mut self, layer: usize) -> LayerLinears<'_> {
        let (stage, block) = self.place(layer);
        let SwinBlock { attn, mlp, .. } = &mut self.layers[stage].blocks[block];
        LayerLinears {
            qkv: &mut attn.qkv,
            proj: &mut attn.proj,
            fc1: &mut mlp.fc1,
            fc2: &mut mlp.fc2,
        }
    }

    /// The shape of this model.
    pub fn config(&self) -> SwinConfig {
        let [embed_dim, in_channels, patch_size, _] = self.patch_embed.proj.weight.dims();
        let of_stages = |size: fn(&SwinBlock) -> usize| {
            self.layers.iter().map(|stage| stage.blocks.first().map_or(0, size)).collect()
        };
        let heads = |block: &SwinBlock| block.attn.head_layout().num_heads;
        SwinConfig {
            embed_dim,
            num_heads: (self.layers.iter())
                .map(|stage| stage.blocks.iter().map(heads).collect())
                .collect(),
            head_dim: of_stages(|block| block.attn.head_layout().head_dim),
            mlp_hidden_dim: of_stages(|block| block.mlp.fc1.weight.dims()[1]),
            window_size: self.window_size,
            image_size: self.image_size,
            patch_size,
            in_channels,
            num_classes: self.num_classes(),
            layer_norm_eps: self.layer_norm_eps,
        }
    }

    /// The parts of a layer, for [`Model`](crate::Model)'s functions of these names.
    pub(crate) fn enter_layer(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        let (stage, block) = self.place(layer);
        self.enter(stage, block, tokens)
    }

    pub(crate) fn heads(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        self.block(layer).heads(tokens)
    }

    pub(crate) fn project(&self, layer: usize, heads: Tensor<3>) -> Tensor<3> {
        self.block(layer).attn.project(heads)
    }

    pub(crate) fn normed(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        self.block(layer).normed(tokens)
    }

    pub(crate) fn mlp(&self, layer: usize) -> &Mlp {
        &self.block(layer).mlp
    }

    fn block(&self, layer: usize) -> &SwinBlock {
        let (stage, block) = self.place(layer);
        &self.layers[stage].blocks[block]
    }

    /// Stage of a layer, and its place there.
    fn place(&self, layer: usize) -> (usize, usize) {
        let mut block = layer;
        for (stage, layers) in self.layers.iter().enumerate() {
            if block < layers.blocks.len() {
                return (stage, block);
            }
            block -= layers.blocks.len();
        }
        panic!("the model has {} layers, so none of index {layer}", self.num_layers());
    }

    /// Tokens as a layer reads them: where a stage begins, merged two by two.
    fn enter(&self, stage: usize, block: usize, tokens: Tensor<3>) -> Tensor<3> {
        match &self.layers[stage].downsample {
            Some(merging) if block == 0 => merging.forward(tokens),
            _ => tokens,
        }
    }
}

impl Classifier for Swin {
    /// `[batch, 3, image_size, image_size]` to `[batch, patches, embed_dim]`, patches in raster
    /// order.
    fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, channels, _, _] = images.dims();
        assert!(batch > 0, "a forward pass needs at least one image, got none");
        assert_shape!(images, [batch, channels, self.image_size, self.image_size]);
        let patches = self.patch_embed.forward(images); // [batch, patches, embed_dim]
        let norm = self.patch_embed.norm.as_ref().expect("a Swin has a norm of its patches");
        layer_norm(norm, patches, self.layer_norm_eps)
    }

    fn num_layers(&self) -> usize {
        self.layers.iter().map(|stage| stage.blocks.len()).sum()
    }

    /// The first layer of a stage merges the tokens of the stage before:
    /// `[batch, 4 seq, embed_dim / 2]` to `[batch, seq, embed_dim]`.
    fn forward_layer_scaled(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        scales: Option<&BranchScales>,
    ) -> Tensor<3> {
        let (stage, block) = self.place(layer);
        let tokens = self.enter(stage, block, tokens);
        self.layers[stage].blocks[block].forward(tokens, scales)
    }

    /// The mean token's features, `[batch, num_features]`.
    fn pool(&self, tokens: Tensor<3>) -> Tensor<2> {
        layer_norm(&self.norm, tokens, self.layer_norm_eps).mean_dim(1).squeeze_dim(1)
    }

    fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        match &self.head.fc {
            Some(head) => apply(head, features),
            None => features,
        }
    }

    fn num_classes(&self) -> usize {
        self.head.fc.as_ref().map_or(0, |head| head.weight.dims()[1])
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

    /// Two stages of two layers: windows of 2 in 8 x 8 tokens, then in 4 x 4.
    fn tiny() -> SwinConfig {
        SwinConfig::new(16, vec![vec![2, 1], vec![4, 3]], vec![8, 8], vec![40, 56])
            .with_window_size(2)
            .with_image_size(32)
            .with_patch_size(4)
            .with_num_classes(5)
    }

    #[test]
    fn parameters_are_those_of_the_shape() {
        for classes in [0, 5] {
            let config = tiny().with_num_classes(classes);
            let state = config.init(&Device::flex()).state_dict();
            assert_eq!(state.check_against(&config.parameter_shapes()), Ok(()));
        }
    }

    #[test]
    fn a_model_tells_its_own_shape() {
        assert_eq!(tiny().init(&Device::flex()).config(), tiny());
    }

    #[test]
    fn every_window_has_its_own_attention() {
        let device = Device::flex();
        let output = tiny().init(&device).forward_attention(Tensor::ones([3, 3, 32, 32], &device));
        assert_eq!(output.logits.dims(), [3, 5]);
        let shapes: Vec<_> = output.attention.iter().map(|weights| weights.dims()).collect();
        assert_eq!(shapes, [[48, 2, 4, 4], [48, 1, 4, 4], [12, 4, 4, 4], [12, 3, 4, 4]]);
        for weights in output.attention {
            let worst: f32 = (weights.sum_dim(3) - 1.0).abs().max().into_scalar();
            assert!(worst < 1e-6, "a row of attention sums to 1 +- {worst}");
        }
    }

    #[test]
    #[should_panic(expected = "a forward pass needs at least one image, got none")]
    fn a_batch_without_images_is_refused() {
        let device = Device::flex();
        tiny().init(&device).forward(Tensor::ones([0, 3, 32, 32], &device));
    }
}
