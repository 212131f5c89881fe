//! Tokens of the ancestor and of the model of centroid heads, side by side.

use std::ops::Range;

use burn::tensor::Tensor;
use learngene_models::{Classifier, Model};
use learngene_tensors::Result;

use crate::images::Images;

/// Tokens of the same images: the ancestor's, then those of the centroid heads' model. They have
/// one shape, `[batch, seq, embed_dim]`.
pub(super) type Pair = [Tensor<3>; 2];

/// Tokens after halves of layers: a layer is its attention, then its FFN, so `2 * layer` halves come
/// before its attention and `2 * layer + 1` before its FFN.
pub(super) struct Streams<'a, 'i> {
    images: &'a mut Images<'i>,
    ancestor: &'a Model,
    /// Tokens after the first halves, while they are few enough to be kept; else they are made of
    /// the images again whenever they are asked for.
    kept: Option<Kept>,
}

/// Tokens of all batches, and after how many halves they are.
type Kept = (usize, Vec<Pair>);

impl<'a, 'i> Streams<'a, 'i> {
    /// The tokens of all images before the first layer, where both models have the same. They are
    /// kept where they need no more bytes than the budget.
    pub fn new(images: &'a mut Images<'i>, ancestor: &'a Model, budget: usize) -> Result<Self> {
        let mut kept = Some(Vec::new());
        let mut bytes = 0;
        images.each(|batch| {
            let tokens = ancestor.embed(batch);
            bytes += 2 * size_of::<f32>() * tokens.shape().num_elements();
            kept = kept.take().filter(|_| bytes <= budget);
            kept.iter_mut().for_each(|kept| kept.push([tokens.clone(), tokens.clone()]));
            Ok(())
        })?;
        Ok(Self { images, ancestor, kept: kept.map(|kept| (0, kept)) })
    }

    /// Shows the tokens of each batch after some halves of layers; these are not fewer than those
    /// of [`Streams::keep`].
    pub fn each(
        &mut self,
        own: &Model,
        halves: usize,
        mut visit: impl FnMut(Pair) -> Result<()>,
    ) -> Result<()> {
        let models = [self.ancestor, own];
        match &self.kept {
            Some((from, pairs)) => pairs
                .iter()
                .try_for_each(|pair| visit(advance(models, pair.clone(), *from..halves))),
            None => self.images.each(|batch| {
                let tokens = self.ancestor.embed(batch);
                visit(advance(models, [tokens.clone(), tokens], 0..halves))
            }),
        }
    }

    /// What is kept, to be gone back to; tokens are shared, not copied.
    pub fn kept(&self) -> Option<Kept> {
        self.kept.clone()
    }

    /// Goes back to what was kept.
    pub fn restore(&mut self, kept: Option<Kept>) {
        self.kept = kept;
    }

    /// Says that fewer halves will not be asked for, nor these with another model.
    pub fn keep(&mut self, own: &Model, halves: usize) {
        let models = [self.ancestor, own];
        if let Some((from, pairs)) = &mut self.kept {
            for pair in pairs {
                *pair = advance(models, pair.clone(), *from..halves);
            }
            *from = halves;
        }
    }
}

fn advance(models: [&Model; 2], pair: Pair, halves: Range<usize>) -> Pair {
    let [of_ancestor, own] = pair;
    [half_layers(models[0], of_ancestor, halves.clone()), half_layers(models[1], own, halves)]
}

/// Takes tokens through some halves of layers.
pub(crate) fn half_layers(model: &Model, tokens: Tensor<3>, halves: Range<usize>) -> Tensor<3> {
    halves.fold(tokens, |tokens, half| {
        let layer = half / 2;
        if half % 2 == 0 {
            let tokens = model.layer_input(layer, tokens);
            let heads = model.heads(layer, tokens.clone());
            tokens + model.project(layer, heads)
        } else {
            let added = model.feed_forward(layer, tokens.clone());
            tokens + added
        }
    })
}
