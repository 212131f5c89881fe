//! Tokens of the probe images, half a layer at a time.

use burn::tensor::{Int, Tensor, TensorData};
use learngene_models::{Classifier, Model};
use learngene_shape::Shape;
use learngene_tensors::Result;
use rand::{SeedableRng, seq::index::sample};
use rand_chacha::ChaCha8Rng;

use crate::images::Images;

/// Tokens for each feature that suffice for a fit. Of more some are drawn; where hidden units have fewer,
/// which leaves much to chance, mirrored images are looked at too.
pub(crate) const TOKENS_PER_FEATURE: usize = 16;

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

    /// Which tokens of each batch are looked at: about so many of all batches together.
    pub fn drawn(&self, wanted: usize) -> Vec<Drawn> {
        let counts: Vec<usize> =
            self.0.iter().map(|tokens| tokens.dims()[0] * tokens.dims()[1]).collect();
        let all: usize = counts.iter().sum();
        let mut draw = ChaCha8Rng::seed_from_u64(0);
        let of_batch = |(count, tokens): (usize, &Tensor<3>)| {
            if all <= wanted {
                return Drawn::ALL;
            }
            let mut drawn = sample(&mut draw, count, (count * wanted).div_ceil(all)).into_vec();
            drawn.sort_unstable();
            let drawn: Vec<i64> = drawn.into_iter().map(|token| token as i64).collect();
            let data = TensorData::new(drawn.clone(), [drawn.len()]);
            Drawn(Some(Tensor::from_data(data, &tokens.device())))
        };
        counts.into_iter().zip(&self.0).map(of_batch).collect()
    }
}

/// Tokens of a batch that are looked at; all of them where there are none.
pub(crate) struct Drawn(Option<Tensor<1, Int>>);

impl Drawn {
    /// All tokens.
    pub const ALL: Self = Self(None);

    /// `[batch, seq, width]` to `[drawn, width]`
    pub fn of(&self, tokens: Tensor<3>) -> Tensor<2> {
        let [batch, seq, width] = tokens.dims();
        let rows = tokens.reshape([batch * seq, width]);
        match &self.0 {
            Some(drawn) => rows.select(0, drawn.clone()),
            None => rows,
        }
    }
}

/// Whether so many images have few tokens for the widest layer of a model.
fn are_few(shape: &Shape, images: u64) -> bool {
    let is_few = |layer: &learngene_shape::LayerShape| {
        let tokens = images as usize * layer.field.tokens();
        tokens < TOKENS_PER_FEATURE * layer.ffn.hidden_dim
    };
    shape.layers().iter().any(is_few)
}
