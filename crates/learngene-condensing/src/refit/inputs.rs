//! What layers are fed while they are fitted: the inputs of the ancestor, or their own.

use learngene_format::FfnGroup;
use learngene_least_squares::Sums;
use learngene_models::Classifier;
use learngene_tensors::Result;

use super::{
    fitting::Fitting,
    streams::{Streams, half_layers},
};
use crate::{images::Images, sums::push};

impl Fitting<'_> {
    /// Fits every layer on the ancestor's tokens, in one pass over the images.
    pub fn on_ancestors_inputs(&mut self, images: &mut Images<'_>) -> Result<()> {
        let layers = 0..self.attention.len();
        let mut heads: Vec<Sums> = layers.map(|layer| self.sums_of_heads(layer)).collect();
        let shared = |group| self.is_shared(group).then(|| self.sums_of_hidden(group));
        let mut hidden: Vec<Option<Sums>> = (0..self.ffn.len()).map(shared).collect();
        let layers_of = self.groups().iter().enumerate();
        let groups: Vec<usize> =
            layers_of.flat_map(|(group, of)| vec![group; of.layers.len()]).collect();
        images.each(|batch| {
            let mut tokens = self.ancestor.embed(batch);
            for (layer, heads) in heads.iter_mut().enumerate() {
                tokens = self.ancestor.layer_input(layer, tokens);
                let all_heads = self.ancestor.heads(layer, tokens.clone());
                let added = self.ancestor.project(layer, all_heads);
                push(heads, layer, self.own.heads(layer, tokens.clone()), added.clone())?;
                tokens = tokens + added;

                let added = self.ancestor.feed_forward(layer, tokens.clone());
                if let Some(sums) = &mut hidden[groups[layer]] {
                    let features = self.own.hidden(layer, tokens.clone());
                    push(sums, layer, features, added.clone())?;
                }
                tokens = tokens + added;
            }
            Ok(())
        })?;
        for (layer, sums) in heads.iter().enumerate() {
            self.fit_projection(layer, &sums.moments())?;
        }
        for (group, sums) in hidden.iter().enumerate() {
            if let Some(sums) = sums {
                self.fit_second(group, &sums.moments())?;
            }
        }
        Ok(())
    }

    /// Fits one layer after the other, each on the tokens that those before it leave, for the
    /// tokens of the ancestor.
    pub fn on_own_inputs(&mut self, images: &mut Images<'_>, budget: usize) -> Result<()> {
        let mut streams = Streams::new(images, self.ancestor, budget)?;
        for (group, of) in self.learngene.manifest().clusters.ffn.groups.iter().enumerate() {
            streams.keep(&self.own, 2 * of.layers[0]);
            if self.is_shared(group) {
                self.fit_group(group, &mut streams)?;
            } else {
                self.fit_attention(of.layers[0], &mut streams)?;
            }
        }
        Ok(())
    }

    /// Fits the layers that share an FFN. They feed each other, so its matrix is first fitted to the
    /// ancestor's tokens; then to those that this leaves; and what its layers are fed has then
    /// changed once more.
    fn fit_group(&mut self, group: usize, streams: &mut Streams<'_, '_>) -> Result<()> {
        let layers = &self.learngene.manifest().clusters.ffn.groups[group].layers;
        let mut sums = self.sums_of_hidden(group);
        streams.each(&self.own, 2 * layers[0], |[mut tokens, _]| {
            for &layer in layers {
                tokens = half_layers(self.ancestor, tokens, 2 * layer..2 * layer + 1);
                let added = self.ancestor.feed_forward(layer, tokens.clone());
                push(&mut sums, layer, self.own.hidden(layer, tokens.clone()), added.clone())?;
                tokens = tokens + added;
            }
            Ok(())
        })?;
        self.fit_second(group, &sums.moments())?;

        let start = streams.kept();
        let mut sums = self.sums_of_hidden(group);
        for &layer in layers {
            streams.keep(&self.own, 2 * layer);
            self.fit_attention(layer, streams)?;
            streams.keep(&self.own, 2 * layer + 1);
            streams.each(&self.own, 2 * layer + 1, |[of_ancestor, own]| {
                let added = self.ancestor.feed_forward(layer, of_ancestor.clone());
                let target = added + (of_ancestor - own.clone());
                push(&mut sums, layer, self.own.hidden(layer, own), target)
            })?;
        }
        self.fit_second(group, &sums.moments())?;
        streams.restore(start);
        for &layer in &layers[1..] {
            streams.keep(&self.own, 2 * layer);
            self.fit_attention(layer, streams)?;
        }
        Ok(())
    }

    /// Fits a layer's projection on the tokens that the layers before it leave.
    fn fit_attention(&mut self, layer: usize, streams: &mut Streams<'_, '_>) -> Result<()> {
        let mut sums = self.sums_of_heads(layer);
        streams.each(&self.own, 2 * layer, |[of_ancestor, own]| {
            let of_ancestor = self.ancestor.layer_input(layer, of_ancestor);
            let own = self.own.layer_input(layer, own);
            let all_heads = self.ancestor.heads(layer, of_ancestor.clone());
            let added = self.ancestor.project(layer, all_heads);
            let target = added + (of_ancestor - own.clone());
            push(&mut sums, layer, self.own.heads(layer, own), target)
        })?;
        self.fit_projection(layer, &sums.moments())
    }

    fn groups(&self) -> &[FfnGroup] {
        &self.learngene.manifest().clusters.ffn.groups
    }

    fn is_shared(&self, group: usize) -> bool {
        self.groups()[group].layers.len() > 1
    }

    fn sums_of_heads(&self, layer: usize) -> Sums {
        let shape = self.shape.layer(layer);
        Sums::new(shape.heads.attention_dim(), shape.embed_dim)
    }

    fn sums_of_hidden(&self, group: usize) -> Sums {
        let shape = self.shape.layer(self.groups()[group].layers[0]);
        Sums::new(shape.ffn.hidden_dim, shape.embed_dim)
    }
}
