//! The layers of a model, one by one: run in parts, read, replaced.

use burn::{nn, tensor::Tensor};
use learngene_shape::{LayerShape, LayerSizes, Part};
use learngene_tensors::{Result, StateDict};

use crate::{Block, Classifier, Model, block::Pass, load_into, state_dict};

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

impl Model {
    /// Tokens as a layer reads them: where a stage of a Swin begins, merged two by two.
    ///
    /// With the functions below, a layer is `x = layer_input(x)`, `x = x + project(heads(x))`,
    /// `x = x + feed_forward(x)`; unlike [`Classifier::forward_layer`], that gives all tokens
    /// of the last layer of a ViT too.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`, or those that the stage before left
    /// - output: `[batch, seq, embed_dim]`
    ///
    /// # Panics
    /// Panics when the model is not so deep; so do the functions below.
    pub fn layer_input(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        let Self::Swin(swin) = self else { return tokens };
        match swin.place(layer) {
            (stage, 0) => match &swin.layers[stage].downsample {
                Some(merging) => merging.forward(tokens),
                None => tokens,
            },
            _ => tokens,
        }
    }

    /// Runs a layer on all tokens and passes its attention, shaped as in
    /// [`ModelOutput`](crate::ModelOutput), to `observe`.
    ///
    /// # Shapes
    /// - tokens: output of the layer before
    /// - output: `[batch, seq, embed_dim]`
    pub fn layer_observed(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        observe: &mut dyn FnMut(Tensor<4>),
    ) -> Tensor<3> {
        self.run(layer, tokens, Pass { observe: Some(observe), ..Pass::default() })
    }

    /// Tokens after the norm before a layer's attention, or before its feed-forward network, which the
    /// first matrix there reads: `[batch, seq, embed_dim]` to the same.
    pub fn normed(&self, layer: usize, part: Part, tokens: Tensor<3>) -> Tensor<3> {
        self.block(layer).normed(part, tokens)
    }

    /// What every head of a layer makes of its normed tokens, before the output projection.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, num_heads * head_dim]`
    pub fn heads(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        self.block(layer).heads(tokens)
    }

    /// The output projection of a layer: `[batch, seq, num_heads * head_dim]` to
    /// `[batch, seq, embed_dim]`.
    pub fn project(&self, layer: usize, heads: Tensor<3>) -> Tensor<3> {
        self.block(layer).attn.project(heads)
    }

    /// What the second matrix of a layer's feed-forward network reads, the hidden units of the
    /// normed tokens.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, hidden_dim]`
    pub fn hidden(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        self.block(layer).hidden(tokens)
    }

    /// The second matrix of a layer's feed-forward network: `[batch, seq, hidden_dim]` to
    /// `[batch, seq, embed_dim]`.
    pub fn project_hidden(&self, layer: usize, hidden: Tensor<3>) -> Tensor<3> {
        self.block(layer).mlp.project(hidden)
    }

    /// The feed-forward network of a layer, its norm included: `[batch, seq, embed_dim]` to the
    /// same.
    pub fn feed_forward(&self, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        self.block(layer).feed_forward(tokens)
    }

    /// The linear layers of a layer, to be replaced by computed ones of the same sizes, say.
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn linears_mut(&mut self, layer: usize) -> LayerLinears<'_> {
        let Block { attn, mlp, .. } = self.block_mut(layer);
        LayerLinears {
            qkv: &mut attn.qkv,
            proj: &mut attn.proj,
            fc1: &mut mlp.fc1,
            fc2: &mut mlp.fc2,
        }
    }

    /// The parameters of a layer, in timm's names and layouts.
    ///
    /// # Panics
    /// Panics when the model is not so deep; so do the functions below.
    pub fn layer_parameters(&self, layer: usize) -> StateDict {
        let prefix = self.prefix(layer);
        let parameters = state_dict(self.block(layer));
        parameters.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect()
    }

    /// Replaces a layer by one with other heads and hidden units.
    ///
    /// # Errors
    /// Lists every parameter of the layer that is missing, unused or of another shape.
    pub fn replace_layer(
        &mut self,
        layer: usize,
        sizes: LayerSizes,
        parameters: StateDict,
    ) -> Result<()> {
        let mut all = self.described().layer_sizes();
        all[layer] = sizes;
        let shape = self.described().with_layer_sizes(&all)?;
        let prefix = self.prefix(layer);
        let of_block = parameters.into_iter().map(|(name, tensor)| {
            (name.strip_prefix(&prefix).map_or(name.clone(), str::to_owned), tensor)
        });
        let block = load_into(self.new_block(shape.layer(layer)), of_block.collect())?;
        *self.block_mut(layer) = block;
        match self {
            Self::Vit(vit) => vit.shape = shape,
            Self::Swin(swin) => swin.shape = shape,
        }
        Ok(())
    }

    /// Frees the memory of a layer that is not needed any more: its parameters are lost.
    pub fn forget_layer(&mut self, layer: usize) {
        // Parameters take no memory before they are first read.
        *self.block_mut(layer) = self.new_block(self.described().layer(layer));
    }

    /// What the names of a layer's parameters begin with.
    fn prefix(&self, layer: usize) -> String {
        match self {
            Self::Vit(_) => format!("blocks.{layer}."),
            Self::Swin(swin) => {
                let (stage, block) = swin.place(layer);
                format!("layers.{stage}.blocks.{block}.")
            }
        }
    }

    /// A layer of that shape without its parameters.
    fn new_block(&self, shape: LayerShape) -> Block {
        let device = self.device();
        match self {
            Self::Vit(vit) => Block::new(shape, vit.layer_norm_eps, &device),
            Self::Swin(swin) => swin.block(shape, &device),
        }
    }

    pub(crate) fn block(&self, layer: usize) -> &Block {
        match self {
            Self::Vit(vit) => &vit.blocks[layer],
            Self::Swin(swin) => {
                let (stage, block) = swin.place(layer);
                &swin.layers[stage].blocks[block]
            }
        }
    }

    fn block_mut(&mut self, layer: usize) -> &mut Block {
        match self {
            Self::Vit(vit) => &mut vit.blocks[layer],
            Self::Swin(swin) => {
                let (stage, block) = swin.place(layer);
                &mut swin.layers[stage].blocks[block]
            }
        }
    }
}
