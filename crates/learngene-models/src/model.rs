//! A model of any family.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor, assert_shape},
};
use learngene_shape::{Family, ImageShape, LayerSizes, Part, Shape, Swin, Vit};
use learngene_tensors::{Error, Result, StateDict};

use crate::{
    Block, BranchScales, Classifier, SwinModule, VitModule,
    block::Pass,
    load_into,
    parts::{apply, layer_norm},
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

impl Model {
    /// A model with freshly drawn weights (normal, standard deviation .02) and zero biases.
    ///
    /// The draws come from the device's generator; `learngene-expansion` has an initialisation
    /// that depends on its seed alone.
    ///
    /// # Panics
    /// Panics for a shape of another family than ViT and Swin.
    pub fn init(shape: &Shape, device: &Device) -> Self {
        Self::build(shape, device).expect("a ViT or a Swin")
    }

    /// A model with the given parameters.
    ///
    /// # Errors
    /// A shape of another family than ViT and Swin; lists every parameter that is missing, unused or
    /// of another shape.
    pub fn load(shape: &Shape, parameters: &StateDict, device: &Device) -> Result<Self> {
        load_into(Self::build(shape, device)?, parameters)
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
        let run = |tokens, layer| self.run(layer, tokens, Pass::default());
        self.pool_tokens((0..self.num_layers()).fold(self.embed(images), run), pool)
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

    /// The norm after the last layer: `[batch, seq, num_features]` to the same.
    pub fn final_norm(&self, tokens: Tensor<3>) -> Tensor<3> {
        either!(self, model => layer_norm(&model.norm, tokens, model.layer_norm_eps))
    }

    /// Replaces a layer by one with other heads and hidden units.
    ///
    /// # Errors
    /// Lists every parameter of the layer that is missing, unused or of another shape.
    ///
    /// # Panics
    /// Panics when the model is not so deep.
    pub fn replace_layer(
        &mut self,
        layer: usize,
        sizes: LayerSizes,
        parameters: &StateDict,
    ) -> Result<()> {
        let mut all = self.described().layer_sizes();
        all[layer] = sizes;
        let shape = self.described().with_layer_sizes(&all)?;
        let device = self.device();
        let (prefix, block) = match self {
            Self::Vit(vit) => {
                let block = Block::new(shape.layer(layer), vit.layer_norm_eps, &device);
                (format!("blocks.{layer}."), block)
            }
            Self::Swin(swin) => {
                let (stage, place) = swin.place(layer);
                let block = swin.block(shape.layer(layer), &device);
                (format!("layers.{stage}.blocks.{place}."), block)
            }
        };
        let of_block = parameters.iter().map(|(name, tensor)| {
            (name.strip_prefix(&prefix).unwrap_or(name).to_owned(), tensor.clone())
        });
        *self.block_mut(layer) = load_into(block, &of_block.collect())?;
        either!(self, model => model.shape = shape);
        Ok(())
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

    /// Tokens as a layer reads them: where a stage of a Swin begins, merged two by two.
    ///
    /// With the functions below, a layer is `x = layer_input(x)`, `x = x + project(heads(x))`,
    /// `x = x + feed_forward(x)`; unlike [`Classifier::forward_layer_scaled`], that gives all tokens
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

    /// The classifier, `[num_features, num_classes]`, if there is one.
    pub fn classifier_mut(&mut self) -> Option<&mut nn::Linear> {
        match self {
            Self::Vit(vit) => vit.head.as_mut(),
            Self::Swin(swin) => swin.head.fc.as_mut(),
        }
    }

    fn run(&self, layer: usize, tokens: Tensor<3>, pass: Pass<'_>) -> Tensor<3> {
        self.block(layer).forward(self.layer_input(layer, tokens), pass)
    }

    fn block(&self, layer: usize) -> &Block {
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

    /// Whether nobody but a classifier that reads the class token comes after that layer.
    fn is_read_by_classifier_alone(&self, layer: usize) -> bool {
        matches!(self, Self::Vit(_)) && layer + 1 == self.num_layers()
    }

    fn described(&self) -> &Shape {
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

    /// Of the last layer of a ViT the class token alone, `[batch, 1, embed_dim]`. The first layer of
    /// a Swin's stage merges the tokens of the stage before: `[batch, 4 seq, embed_dim / 2]` to
    /// `[batch, seq, embed_dim]`.
    fn forward_layer_scaled(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        scales: Option<&BranchScales>,
    ) -> Tensor<3> {
        let first_token_alone = self.is_read_by_classifier_alone(layer);
        self.run(layer, tokens, Pass { first_token_alone, scales, observe: None })
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
