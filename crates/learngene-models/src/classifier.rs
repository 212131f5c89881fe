//! What training and evaluation ask of a model.

use burn::{
    module::{Module, ModuleDisplay},
    tensor::{Device, Tensor},
};
use learngene_shape::Shape;
use learngene_tensors::{Result, StateDict};

/// An image classifier that can be trained and evaluated.
///
/// Training is generic over this trait, so a model wrapped in something that learns beside it
/// (a parameter transformation, say) trains like a plain one and is exported folded. Its
/// parts can be run one by one, so that training keeps little of each in memory.
pub trait Classifier: Module + ModuleDisplay {
    /// Tokens that the first layer reads, of a batch of normalised images.
    ///
    /// # Shapes
    /// - images: `[batch, in_channels, image_size, image_size]`
    /// - output: `[batch, seq, embed_dim]`
    ///
    /// # Panics
    /// If there is no image, or the images have another size or number of channels than the model's.
    fn embed(&self, images: Tensor<4>) -> Tensor<3>;

    /// Number of layers.
    fn num_layers(&self) -> usize;

    /// What a layer makes of its tokens.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: the same, or what the next layer reads
    fn forward_layer(&self, layer: usize, tokens: Tensor<3>, forward: Forward<'_>) -> Tensor<3>;

    /// The tokens that the last layer leaves.
    ///
    /// # Shapes
    /// - images: `[batch, in_channels, image_size, image_size]`
    /// - output: `[batch, seq, embed_dim]`
    ///
    /// # Panics
    /// As [`Classifier::embed`].
    fn tokens(&self, images: Tensor<4>, forward: Forward<'_>) -> Tensor<3> {
        let run = |tokens, layer: usize| self.forward_layer(layer, tokens, forward);
        (0..self.num_layers()).fold(self.embed(images), run)
    }

    /// The norm after the last layer: `[batch, seq, num_features]` to the same.
    fn final_norm(&self, tokens: Tensor<3>) -> Tensor<3>;

    /// Features of the tokens that the last layer leaves.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, num_features]`
    fn pool(&self, tokens: Tensor<3>) -> Tensor<2>;

    /// Logits, or the features themselves where the model has no classifier head.
    ///
    /// # Shapes
    /// - features: `[batch, num_features]`
    /// - output: `[batch, num_classes]`
    fn classify(&self, features: Tensor<2>) -> Tensor<2>;

    /// Features that the classifier head reads.
    ///
    /// # Shapes
    /// - images: `[batch, in_channels, image_size, image_size]`
    /// - output: `[batch, num_features]`
    ///
    /// # Panics
    /// As [`Classifier::embed`].
    fn features(&self, images: Tensor<4>) -> Tensor<2> {
        self.pool(self.tokens(images, Forward::default()))
    }

    /// Logits of a batch of normalised images.
    ///
    /// # Shapes
    /// - images: `[batch, in_channels, image_size, image_size]`
    /// - output: `[batch, num_classes]`
    ///
    /// # Panics
    /// As [`Classifier::embed`].
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.classify(self.features(images))
    }

    /// What the model is.
    fn shape(&self) -> Shape;

    /// Number of classes; 0 without a classifier.
    fn num_classes(&self) -> usize {
        self.shape().num_classes()
    }

    /// Side of the square input images, in pixels.
    fn image_size(&self) -> usize {
        self.shape().image().size
    }

    /// The parameters in timm's names and layouts, as an ordinary checkpoint holds them.
    ///
    /// Those of the module itself, unless it is one that wraps another.
    fn state_dict(&self) -> StateDict {
        crate::state_dict(self)
    }

    /// The same model with other parameters, named and laid out as [`Classifier::state_dict`] has
    /// them.
    ///
    /// # Errors
    /// Lists every parameter that is missing, unused or of another shape.
    fn with_parameters(self, parameters: &StateDict) -> Result<Self> {
        crate::load_into(self, parameters.clone())
    }

    /// Where the parameters live.
    fn device(&self) -> Device {
        self.devices().into_iter().next().expect("a classifier has at least one parameter")
    }
}

/// How the layers of a model run; by default as inference needs them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forward<'a> {
    /// Factors of the residual branches, one for each layer.
    pub scales: Option<&'a [BranchScales]>,
    /// Whether all tokens pass the last layer of a ViT. A classifier reads the class token alone.
    pub all_tokens: bool,
}

/// Factors of the residual branches of one layer, one for each image: stochastic depth, where a
/// branch is either left out (0) or made up for those left out (1 / share kept).
///
/// Source: Huang et al., "Deep Networks with Stochastic Depth", 2016,
/// <https://arxiv.org/abs/1603.09382>; factors as in timm's `drop_path`.
#[derive(Clone, Debug)]
pub struct BranchScales {
    /// Of the attention: `[batch, 1, 1]`.
    pub attention: Tensor<3>,
    /// Of the feed-forward network: `[batch, 1, 1]`.
    pub mlp: Tensor<3>,
}
