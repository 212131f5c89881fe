//! The two ways of feeding layers while they are fitted.

use learngene_models::Classifier;

use super::{fitting::Fitting, images::Images, moments::Sums, streams::Streams};
use crate::error::ClusteringError;

impl Fitting<'_> {
    /// Fits every layer on the ancestor's tokens, in one pass over the images.
    pub fn on_ancestors_inputs(&mut self, images: &mut Images<'_>) -> Result<(), ClusteringError> {
        let layers = 0..self.attention.len();
        let heads = layers.map(|layer| Some(self.sums_of_heads(layer))).collect();
        self.on_ancestors_tokens(images, heads)
    }

    /// Fits the layers of which there are sums, and all shared feed-forward networks, on the
    /// ancestor's tokens.
    fn on_ancestors_tokens(
        &mut self,
        images: &mut Images<'_>,
        mut heads: Vec<Option<Sums>>,
    ) -> Result<(), ClusteringError> {
        let groups = 0..self.ffn.len();
        let mut hidden: Vec<Option<Sums>> =
            groups.map(|group| self.is_shared(group).then(|| self.sums_of_hidden(group))).collect();
        images.each(|batch| {
            let mut tokens = self.ancestor.embed(batch);
            for (layer, heads) in heads.iter_mut().enumerate() {
                tokens = self.ancestor.enter(layer, tokens);
                let all_heads = self.ancestor.heads(layer, tokens.clone());
                let added = self.ancestor.project(layer, all_heads);
                if let Some(sums) = heads {
                    sums.push(layer, self.own.heads(layer, tokens.clone()), added.clone())?;
                }
                tokens = tokens + added;

                let added = self.ancestor.feed_forward(layer, tokens.clone());
                if let Some(sums) = &mut hidden[self.learngene.manifest().ffn.group_of(layer)] {
                    sums.push(layer, self.own.hidden(layer, tokens.clone()), added.clone())?;
                }
                tokens = tokens + added;
            }
            Ok(())
        })?;
        for (layer, sums) in heads.iter().enumerate() {
            if let Some(sums) = sums {
                self.fit_projection(layer, &sums.moments())?;
            }
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
    pub fn on_own_inputs(
        &mut self,
        images: &mut Images<'_>,
        budget: usize,
    ) -> Result<(), ClusteringError> {
        if (0..self.ffn.len()).any(|group| self.is_shared(group)) {
            // Layers of a group feed each other, so its matrix needs a first value.
            let no_heads = self.attention.iter().map(|_| None).collect();
            self.on_ancestors_tokens(images, no_heads)?;
        }
        let mut streams = Streams::new(images, self.ancestor, budget)?;
        for (group, of) in self.learngene.manifest().ffn.groups.iter().enumerate() {
            let first = of.layers[0];
            streams.keep(&self.own, 2 * first);
            self.fit_attention(first, &mut streams)?;
            streams.keep(&self.own, 2 * first + 1);
            if self.is_shared(group) {
                let mut sums = self.sums_of_hidden(group);
                for &layer in &of.layers {
                    if layer > first {
                        self.fit_attention(layer, &mut streams)?;
                    }
                    streams.each(&self.own, 2 * layer + 1, |[of_ancestor, own]| {
                        let added = self.ancestor.feed_forward(layer, of_ancestor.clone());
                        let wanted = added + (of_ancestor - own.clone());
                        sums.push(layer, self.own.hidden(layer, own), wanted)
                    })?;
                }
                self.fit_second(group, &sums.moments())?;
                // What these layers are fed has changed with the matrix.
                for &layer in &of.layers[1..] {
                    self.fit_attention(layer, &mut streams)?;
                }
            }
        }
        Ok(())
    }

    /// Fits a layer's projection on the tokens that the layers before it leave.
    fn fit_attention(
        &mut self,
        layer: usize,
        streams: &mut Streams<'_, '_>,
    ) -> Result<(), ClusteringError> {
        let mut sums = self.sums_of_heads(layer);
        streams.each(&self.own, 2 * layer, |[of_ancestor, own]| {
            let of_ancestor = self.ancestor.enter(layer, of_ancestor);
            let own = self.own.enter(layer, own);
            let all_heads = self.ancestor.heads(layer, of_ancestor.clone());
            let added = self.ancestor.project(layer, all_heads);
            let wanted = added + (of_ancestor - own.clone());
            sums.push(layer, self.own.heads(layer, own), wanted)
        })?;
        self.fit_projection(layer, &sums.moments())
    }

    fn is_shared(&self, group: usize) -> bool {
        self.learngene.manifest().ffn.groups[group].layers.len() > 1
    }

    fn sums_of_heads(&self, layer: usize) -> Sums {
        let shape = self.own.config().layer(layer);
        Sums::new(shape.heads.attention_dim(), shape.embed_dim)
    }

    fn sums_of_hidden(&self, group: usize) -> Sums {
        let layer = self.learngene.manifest().ffn.groups[group].layers[0];
        let shape = self.own.config().layer(layer);
        Sums::new(shape.mlp_hidden_dim, shape.embed_dim)
    }
}
