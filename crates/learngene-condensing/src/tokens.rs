//! Tokens of the probe images, half a layer at a time.

use burn::tensor::{Int, Tensor, TensorData};
use learngene_models::{Classifier, Model};
use learngene_shape::{LayerShape, Shape};
use learngene_tensors::Result;
use rand::{SeedableRng, seq::index::sample};
use rand_chacha::ChaCha8Rng;

use crate::images::Images;

/// Most tokens per feature that are looked at; of more, some are drawn.
pub(crate) const TOKENS_PER_FEATURE: usize = 16;

/// Tokens per feature that the images of a fit must give: on ViT-S/14 at 84 px, 16 gave no better
/// descendants.
pub(crate) const LEAST_PER_FEATURE: usize = 8;

/// Images for each token per feature: tokens of one image are alike.
const IMAGES_PER_TOKEN: usize = 16;

/// Tokens of the chosen images, `[batch, seq, embed_dim]` each batch, somewhere between two halves of
/// layers. They take four bytes for each image, token and channel.
#[derive(Clone)]
pub(crate) struct Tokens(pub Vec<Tensor<3>>);

impl Tokens {
    /// Tokens before the first layer, from as many images as give `per_feature` tokens for each feature
    /// of the widest layer; if there are too few images, they are also used mirrored.
    pub fn embed(model: &Model, images: &mut Images<'_>, per_feature: usize) -> Result<Self> {
        let wanted = images_for(&model.shape(), per_feature);
        let chosen = images.chosen(wanted.max(per_feature * IMAGES_PER_TOKEN))?;
        let mut tokens: Vec<Tensor<3>> =
            chosen.into_iter().map(|batch| model.embed(batch)).collect();
        if (images.count() as usize) < wanted {
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

/// Number of images that give `per_feature` tokens for each feature of the widest layer.
fn images_for(shape: &Shape, per_feature: usize) -> usize {
    let of_layer = |layer: &LayerShape| {
        let widest = layer.ffn.hidden_dim.max(layer.heads.attention_dim()).max(layer.embed_dim);
        (per_feature * widest).div_ceil(layer.field.tokens())
    };
    shape.layers().iter().map(of_layer).max().unwrap_or(0)
}
