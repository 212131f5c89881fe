//! Tokens of the probe images, half a layer at a time.

use burn::tensor::Tensor;
use learngene_models::{Classifier, Model};
use learngene_shape::{Part, Shape};
use learngene_tensors::Result;

use crate::images::Images;

/// Fewer tokens than this for each hidden unit of the widest layer leave much to chance: mirrored
/// images are then looked at too.
const TOKENS_PER_UNIT: usize = 16;

/// Tokens of all images, `[batch, seq, embed_dim]` each batch, somewhere between two halves of layers.
/// They take four bytes for each image, token and channel.
#[derive(Clone)]
pub(crate) struct Tokens(pub Vec<Tensor<3>>);

impl Tokens {
    /// Before the first layer; of images that are few for what is fitted, mirrored ones too.
    pub fn embed(model: &Model, images: &mut Images<'_>) -> Result<Self> {
        let mut tokens = Vec::new();
        images.each(|batch| {
            tokens.push(model.embed(batch));
            Ok(())
        })?;
        if are_few(&model.shape(), images.count()) {
            images.each(|batch| {
                tokens.push(model.embed(batch.flip([3])));
                Ok(())
            })?;
        }
        Ok(Self(tokens))
    }

    /// Tokens as a layer reads them.
    pub fn enter(&mut self, model: &Model, layer: usize) {
        self.replace(|tokens| model.layer_input(layer, tokens));
    }

    /// Takes every batch to what it becomes.
    pub fn replace(&mut self, mut next: impl FnMut(Tensor<3>) -> Tensor<3>) {
        for tokens in &mut self.0 {
            *tokens = next(tokens.clone());
        }
    }
}

/// Whether so many images have few tokens for the widest layer of a model.
fn are_few(shape: &Shape, images: u64) -> bool {
    let is_few = |layer: &learngene_shape::LayerShape| {
        let tokens = images as usize * layer.field.tokens();
        tokens < TOKENS_PER_UNIT * layer.ffn.hidden_dim
    };
    shape.layers().iter().any(is_few)
}

/// The halves of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Attention,
    Ffn,
}

impl Half {
    pub const BOTH: [Self; 2] = [Self::Attention, Self::Ffn];

    /// The part of the layer between its norm and what it adds.
    pub fn part(self) -> Part {
        match self {
            Self::Attention => Part::Attention,
            Self::Ffn => Part::Ffn,
        }
    }

    /// What the half's last matrix reads: what the heads give, or the hidden units.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, inputs]`
    pub fn features(self, model: &Model, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Attention => model.heads(layer, tokens),
            Self::Ffn => model.hidden(layer, tokens),
        }
    }

    /// Tokens after the half: `[batch, seq, embed_dim]` to the same.
    pub fn run(self, model: &Model, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        let added = match self {
            Self::Attention => model.project(layer, model.heads(layer, tokens.clone())),
            Self::Ffn => model.feed_forward(layer, tokens.clone()),
        };
        tokens + added
    }
}
