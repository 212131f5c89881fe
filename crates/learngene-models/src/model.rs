//! A model of any family.

use std::path::Path;

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};

use crate::{
    BranchScales, Classifier, ModelConfig, StateDict, StateDictError, Swin, Vit,
    checkpoint::CheckpointError,
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

    fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        either!(self, model => model.save(path))
    }
}
