//! A model of any family.

use std::path::Path;

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};

use crate::{
    BranchScales, Classifier, ModelConfig, StateDict, StateDictError, Swin, Vit,
    checkpoint::{CheckpointError, PretrainedCfg},
};

/// A model of any family.
#[derive(Module, Debug)]
pub enum Model {
    /// ViT or DeiT.
    Vit(Vit),
    /// Swin.
    Swin(Swin),
}

/// What a forward pass can tell beside the logits.
pub struct ModelOutput {
    /// `[batch, num_classes]`, or the features where the model has no classifier.
    pub logits: Tensor<2>,
    /// Attention of each layer after softmax: `[batch, num_heads, queries, keys]`; of a Swin
    /// `[batch * windows, num_heads, queries, keys]`, the windows of an image in raster order.
    pub attention: Vec<Tensor<4>>,
}

/// The linear layers of one transformer layer.
pub struct LayerLinears<'a> {
    /// Query, key and value of all heads.
    pub qkv: &'a mut nn::Linear,
    /// Output projection.
    pub proj: &'a mut nn::Linear,
    /// First layer of the feed-forward network.
    pub fc1: &'a mut nn::Linear,
    /// Second layer of the feed-forward network.
    pub fc2: &'a mut nn::Linear,
}

/// The same expression on the model of either family.
macro_rules! either {
    ($self:expr, $model:ident => $value:expr) => {
        match $self {
            Self::Vit($model) => $value,
            Self::Swin($model) => $value,
        }
    };
}

impl ModelConfig {
    /// A model with freshly drawn weights (normal, standard deviation .02) and zero biases.
    ///
    /// The draws come from the device's generator; `learngene-expansion` has an initialisation
    /// that depends on its seed alone.
    ///
    /// # Panics
    /// Panics on a shape that [`ModelConfig::check`] refuses.
    pub fn init(&self, device: &Device) -> Model {
        match self {
            Self::Vit(vit) => Model::Vit(vit.init(device)),
            Self::Swin(swin) => Model::Swin(swin.init(device)),
        }
    }

    /// A model with the given parameters.
    ///
    /// # Errors
    /// Lists every parameter that is missing, unused or of another shape.
    ///
    /// # Panics
    /// Panics on a shape that [`ModelConfig::check`] refuses.
    pub fn load(&self, parameters: &StateDict, device: &Device) -> Result<Model, StateDictError> {
        match self {
            Self::Vit(vit) => vit.load(parameters, device).map(Model::Vit),
            Self::Swin(swin) => swin.load(parameters, device).map(Model::Swin),
        }
    }
}

impl Model {
    /// The shape of this model.
    pub fn config(&self) -> ModelConfig {
        match self {
            Self::Vit(vit) => vit.config().into(),
            Self::Swin(swin) => swin.config().into(),
        }
    }

    /// Runs the model and hands each layer's attention to `observe`, which may reduce it on the
    /// device before the next layer runs: maps of several layers are never held at once.
    ///
    /// # Shapes
    /// - images: `[batch, 3, image_size, image_size]`
    /// - attention: as in [`ModelOutput`]
    /// - output: `[batch, num_features]`
    ///
    /// # Panics
    /// If there is no image, or the images are of another size than the model's.
    pub fn forward_observed(
        &self,
        images: Tensor<4>,
        observe: impl FnMut(usize, Tensor<4>),
    ) -> Tensor<2> {
        either!(self, model => model.forward_observed(images, observe))
    }

    /// Mean of the patches' tokens after the final norm: what a Swin's classifier reads anyway, and
    /// [`Vit::patch_features`].
    ///
    /// # Shapes
    /// - images: `[batch, 3, image_size, image_size]`
    /// - output: `[batch, num_features]`
    ///
    /// # Panics
    /// As [`Model::forward_observed`].
    pub fn patch_features(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Vit(vit) => vit.patch_features(images),
            Self::Swin(swin) => swin.features(images),
        }
    }

    /// Logits and the attention of every layer.
    ///
    /// # Shapes
    /// - images: `[batch, 3, image_size, image_size]`
    ///
    /// # Panics
    /// As [`Model::forward_observed`].
    pub fn forward_attention(&self, images: Tensor<4>) -> ModelOutput {
        let mut attention = Vec::new();
        let features = self.forward_observed(images, |_, weights| attention.push(weights));
        ModelOutput { logits: self.classify(features), attention }
    }

    /// Tokens as a layer reads them: where a stage of a Swin begins, merged two by two.
    ///
    /// With the functions below, a layer is `x = enter(x)`, `x = x + project(heads(x))`,
    /// `x = x + feed_forward(x)`; unlike [`Classifier::forward_layer`], that gives all tokens of the
    /// last layer of a ViT too.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`, or those that the stage before left
    /// - output: `[batch, seq, embed_dim]`
    ///
    /// # Panics
    /// Panics when the model is not so deep; so do the functions below.
    pub fn enter(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Vit(_) => tokens,
            Self::Swin(swin) => swin.enter_layer(layer, tokens),
        }
    }

    /// What every head of a layer makes of its normed tokens, before the output projection.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, num_heads * head_dim]`
    pub fn heads(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        either!(self, model => model.heads(layer, tokens))
    }

    /// The output projection of a layer: `[batch, seq, num_heads * head_dim]` to
    /// `[batch, seq, embed_dim]`.
    pub fn project(&self, layer: usize, heads: Tensor<3>) -> Tensor<3> {
        either!(self, model => model.project(layer, heads))
    }

    /// What the second matrix of a layer's feed-forward network reads: `gelu(fc1(norm2(x)))`.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, mlp_hidden_dim]`
    pub fn hidden(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        either!(self, model => model.mlp(layer).hidden(model.normed(layer, tokens)))
    }

    /// The feed-forward network of a layer, its norm included: `[batch, seq, embed_dim]` to the
    /// same.
    pub fn feed_forward(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        either!(self, model => model.mlp(layer).forward(model.normed(layer, tokens)))
    }

    /// The linear layers of a layer, to be replaced by computed ones, say.
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn linears_mut(&mut self, layer: usize) -> LayerLinears<'_> {
        either!(self, model => model.linears_mut(layer))
    }
}

impl Classifier for Model {
    fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        either!(self, model => model.embed(images))
    }

    fn num_layers(&self) -> usize {
        either!(self, model => model.num_layers())
    }

    fn forward_layer_scaled(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        scales: Option<&BranchScales>,
    ) -> Tensor<3> {
        either!(self, model => model.forward_layer_scaled(layer, tokens, scales))
    }

    fn pool(&self, tokens: Tensor<3>) -> Tensor<2> {
        either!(self, model => model.pool(tokens))
    }

    fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        either!(self, model => model.classify(features))
    }

    fn num_classes(&self) -> usize {
        either!(self, model => model.num_classes())
    }

    fn image_size(&self) -> usize {
        either!(self, model => model.image_size())
    }

    fn state_dict(&self) -> StateDict {
        either!(self, model => model.state_dict())
    }

    fn with_parameters(self, parameters: &StateDict) -> Result<Self, StateDictError> {
        Ok(match self {
            Self::Vit(vit) => Self::Vit(vit.with_parameters(parameters)?),
            Self::Swin(swin) => Self::Swin(swin.with_parameters(parameters)?),
        })
    }

    fn save(
        &self,
        path: &Path,
        pretrained_cfg: Option<&PretrainedCfg>,
    ) -> Result<(), CheckpointError> {
        either!(self, model => model.save(path, pretrained_cfg))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SwinConfig, VitConfig};

    /// Heads fewer or more than fill the width, so that no two axes are mistaken for each other.
    fn configs() -> [ModelConfig; 2] {
        let vit = VitConfig::new(24, vec![3, 2], 8, 40).with_image_size(16).with_patch_size(4);
        let swin = SwinConfig::new(16, vec![vec![2, 1], vec![4, 3]], vec![8, 8], vec![40, 56])
            .with_window_size(2)
            .with_image_size(16)
            .with_patch_size(2);
        [vit.into(), swin.into()]
    }

    #[test]
    fn a_layer_is_the_sum_of_its_parts() {
        let device = Device::flex();
        for config in configs() {
            let model = config.init(&device);
            let noise = burn::tensor::Distribution::Normal(0.0, 1.0);
            let mut tokens = model.embed(Tensor::random([2, 3, 16, 16], noise, &device));
            for layer in 0..config.depth() {
                let whole = model.forward_layer(layer, tokens.clone());
                let entered = model.enter(layer, tokens);
                let attended = model.project(layer, model.heads(layer, entered.clone())) + entered;
                tokens = model.feed_forward(layer, attended.clone()) + attended.clone();
                let seq = whole.dims()[1]; // of the last layer of a ViT the class token alone
                let of_parts = tokens.clone().slice_dim(1, 0..seq);
                let worst: f32 = (whole - of_parts).abs().max().into_scalar();
                assert!(worst < 1e-5, "{} layer {layer}: {worst}", config.family());

                let fc2 = &mut model.clone();
                let fc2 = fc2.linears_mut(layer).fc2;
                let bias = fc2.bias.as_ref().expect("a bias").val();
                let hidden = model.hidden(layer, attended.clone());
                let second = hidden.matmul(fc2.weight.val().unsqueeze()) + bias.unsqueeze();
                let worst = second - model.feed_forward(layer, attended);
                let worst: f32 = worst.abs().max().into_scalar();
                assert!(worst < 1e-5, "{} layer {layer}: {worst}", config.family());
            }
        }
    }
}
