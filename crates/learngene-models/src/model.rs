//! A model of any family.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor, assert_shape},
};
use learngene_shape::{Family, ImageShape, Shape, Swin, Vit};
use learngene_tensors::{Error, Result, StateDict};

use crate::{
    Classifier, Forward, SwinModule, VitModule,
    block::Pass,
    parts::{Draw, apply, layer_norm},
    state_dict::assign,
};

/// A model of any family.
#[derive(Module, Debug)]
pub enum Model {
    /// ViT or DeiT.
    Vit(VitModule),
    /// Swin.
    Swin(SwinModule),
}

/// Logits and attention of a forward pass.
pub struct ModelOutput {
    /// `[batch, num_classes]`, or the features where the model has no classifier.
    pub logits: Tensor<2>,
    /// Attention of each layer after softmax: `[batch * windows, num_heads, queries, keys]`, the
    /// windows of an image in raster order.
    pub attention: Vec<Tensor<4>>,
}

/// Which of the last layer's tokens are features, in timm's words. A model without a class token has
/// the mean of its patches alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The class token.
    Token,
    /// The mean of the patches.
    Avg,
    /// The class token, then the mean of the patches.
    Both,
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

impl Model {
    /// A model with freshly drawn weights (normal, standard deviation .02) and zero biases.
    ///
    /// The draws come from the device's generator; `learngene-expansion` has an initialisation
    /// that depends on its seed alone.
    ///
    /// # Panics
    /// Panics for a shape of another family than ViT and Swin.
    pub fn init(shape: &Shape, device: &Device) -> Self {
        Self::build(shape, device).expect("a ViT or a Swin").map(&mut Draw)
    }

    /// A model with the given parameters.
    ///
    /// # Errors
    /// A shape of another family than ViT and Swin; lists every parameter that is missing, unused or
    /// of another shape.
    pub fn load(shape: &Shape, parameters: &StateDict, device: &Device) -> Result<Self> {
        Self::from_parameters(shape, parameters.clone(), device)
    }

    /// As [`Model::load`], of parameters that are not needed any more.
    ///
    /// # Errors
    /// Those of [`Model::load`].
    pub fn from_parameters(shape: &Shape, parameters: StateDict, device: &Device) -> Result<Self> {
        let model = Self::build(shape, device)?;
        // The module would allocate all parameters to give their shapes.
        parameters.check_against(&shape.parameter_shapes())?;
        Ok(assign(model, parameters))
    }

    fn build(shape: &Shape, device: &Device) -> Result<Self> {
        if let Some(vit) = shape.get::<Vit>() {
            return Ok(Self::Vit(VitModule::new(vit, shape, device)));
        }
        let expected = format!("{} or {}", Vit::KEY, Swin::KEY);
        let swin = shape.get::<Swin>();
        let swin = swin.ok_or_else(|| Error::invalid("family", shape.family(), expected))?;
        Ok(Self::Swin(SwinModule::new(swin, shape, device)))
    }

    /// Runs the model and hands each layer's attention to `observe`, which may reduce it on the
    /// device before the next layer runs: maps of several layers are never held at once.
    ///
    /// # Shapes
    /// - images: `[batch, in_channels, image_size, image_size]`
    /// - attention: as in [`ModelOutput`]
    /// - output: `[batch, num_features]`
    ///
    /// # Panics
    /// If there is no image, or the images have another size or number of channels than the model's.
    pub fn forward_observed(
        &self,
        images: Tensor<4>,
        mut observe: impl FnMut(usize, Tensor<4>),
    ) -> Tensor<2> {
        let run = |tokens, layer| {
            let first_token_alone = self.is_read_by_classifier_alone(layer);
            let observe = &mut |weights| observe(layer, weights);
            self.run(
                layer,
                tokens,
                Pass { first_token_alone, observe: Some(observe), scales: None },
            )
        };
        self.pool((0..self.num_layers()).fold(self.embed(images), run))
    }

    /// Features of an image, by the name that timm has for them.
    ///
    /// # Shapes
    /// - images: `[batch, in_channels, image_size, image_size]`
    /// - output: as of [`Model::pool_tokens`]
    ///
    /// # Panics
    /// As [`Model::forward_observed`].
    pub fn pooled_features(&self, images: Tensor<4>, pool: Pool) -> Tensor<2> {
        self.pool_tokens(self.tokens(images, Forward { all_tokens: true, scales: None }), pool)
    }

    /// Features of the tokens that a layer leaves, after the final norm.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, num_features]`, of [`Pool::Both`] in a ViT twice as wide
    pub fn pool_tokens(&self, tokens: Tensor<3>, pool: Pool) -> Tensor<2> {
        let has_token = matches!(self, Self::Vit(_));
        let normed = self.final_norm(tokens);
        let mean = |tokens: Tensor<3>| tokens.mean_dim(1).squeeze_dim(1);
        if !has_token {
            return mean(normed);
        }
        let token = || normed.clone().slice_dim(1, 0..1).squeeze_dim(1);
        let patches = || mean(normed.clone().slice_dim(1, 1..));
        match pool {
            Pool::Token => token(),
            Pool::Avg => patches(),
            Pool::Both => Tensor::cat(vec![token(), patches()], 1),
        }
    }

    /// Logits and the attention of every layer.
    ///
    /// # Shapes
    /// - images: `[batch, in_channels, image_size, image_size]`
    ///
    /// # Panics
    /// As [`Model::forward_observed`].
    pub fn forward_attention(&self, images: Tensor<4>) -> ModelOutput {
        let mut attention = Vec::with_capacity(self.num_layers());
        let features = self.forward_observed(images, |_, weights| attention.push(weights));
        ModelOutput { logits: self.classify(features), attention }
    }

    /// The classifier, `[num_features, num_classes]`, if there is one.
    pub fn classifier_mut(&mut self) -> Option<&mut nn::Linear> {
        match self {
            Self::Vit(vit) => vit.head.as_mut(),
            Self::Swin(swin) => swin.head.fc.as_mut(),
        }
    }

    pub(crate) fn run(&self, layer: usize, tokens: Tensor<3>, pass: Pass<'_>) -> Tensor<3> {
        self.block(layer).forward(self.layer_input(layer, tokens), pass)
    }

    /// Whether nobody but a classifier that reads the class token comes after that layer.
    fn is_read_by_classifier_alone(&self, layer: usize) -> bool {
        matches!(self, Self::Vit(_)) && layer + 1 == self.num_layers()
    }

    pub(crate) fn described(&self) -> &Shape {
        either!(self, model => &model.shape)
    }
}

impl Classifier for Model {
    fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, ..] = images.dims();
        assert!(batch > 0, "a forward pass needs at least one image, got none");
        let ImageShape { size, channels, .. } = self.described().image();
        assert_shape!(images, [batch, channels, size, size]);
        either!(self, model => model.tokens(model.patch_embed.forward(images)))
    }

    fn num_layers(&self) -> usize {
        self.described().depth()
    }

    /// Of the last layer of a ViT the class token alone, `[batch, 1, embed_dim]`, unless all are asked
    /// for. The first layer of a Swin's stage merges the tokens of the stage before:
    /// `[batch, 4 seq, embed_dim / 2]` to `[batch, seq, embed_dim]`.
    fn forward_layer(&self, layer: usize, tokens: Tensor<3>, forward: Forward<'_>) -> Tensor<3> {
        let first_token_alone = !forward.all_tokens && self.is_read_by_classifier_alone(layer);
        let scales = forward.scales.map(|scales| &scales[layer]);
        self.run(layer, tokens, Pass { first_token_alone, scales, observe: None })
    }

    fn final_norm(&self, tokens: Tensor<3>) -> Tensor<3> {
        either!(self, model => layer_norm(&model.norm, tokens, model.layer_norm_eps))
    }

    /// Features of a ViT's class token, or the mean of a Swin's patches.
    fn pool(&self, tokens: Tensor<3>) -> Tensor<2> {
        match self {
            // The norm works token by token, so the class token is all that need pass through it.
            Self::Vit(_) => self.final_norm(tokens.slice_dim(1, 0..1)).squeeze_dim(1),
            Self::Swin(_) => self.pool_tokens(tokens, Pool::Avg),
        }
    }

    fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        let head = match self {
            Self::Vit(vit) => vit.head.as_ref(),
            Self::Swin(swin) => swin.head.fc.as_ref(),
        };
        match head {
            Some(head) => apply(head, features),
            None => features,
        }
    }

    fn shape(&self) -> Shape {
        self.described().clone()
    }
}
