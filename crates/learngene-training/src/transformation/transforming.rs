//! A descendant while its transformations are learnt.

use std::ops::Range;

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};
use learngene_expansion::TransformationPlan;
use learngene_models::{Classifier, Forward, Model, load_into, state_dict};
use learngene_shape::Shape;
use learngene_tensors::{Error, Result, StateDict};

use super::{
    FfnTransformation, Scope, TransformationConfig, bank::Bank, drawing::Drawing,
    transformations::Transformations,
};

/// A descendant whose transformations and classifier learn while everything else is frozen: a short
/// phase before everything is trained.
///
/// A descendant starts with the same FFN in all layers of a group, and with copies of one head for each
/// centroid. What is learnt here is how each layer is made from the shared base, `W_k = T_k(W)`
/// (Cluster-Learngene, "learnable parameter transformations"), and how the copies of a head differ.
/// [`attach`] makes it from a model; it trains like any other [`Classifier`], and its checkpoints are
/// folded, ordinary ones.
///
/// All transformations start as the identity, so that training starts from plain inheritance, and
/// gradients reach them. Neither holds in the code that was published with the paper: it put a random
/// linear-ReLU-linear between bases and layers, and assigned the results through `.data`, past the
/// gradient.
///
/// # Cost
/// A forward pass computes the weights of every transformed layer once: it reads the bases and writes
/// the layers' weights. `scale-shift` does nothing more, `low-rank` multiplies `rank` times for each
/// weight, and both need the memory of the transformed weights beside that of the bases.
///
/// `cross-layer` reads all bases of a stage and multiplies `hidden * (bases + layers)` times for each
/// weight of one base; a training step keeps `hidden` numbers for each, before and after the ReLU: with
/// 16, 150 MB for a ViT-S and 600 MB for a ViT-B. [`Classifier::features`] does so once a stage; run
/// layer by layer, each layer mixes its stage again and keeps as much.
///
/// The backward pass costs as much as a plain model's without the weight gradients of what is frozen;
/// those of transformed weights are needed for the gradients of the transformations.
#[derive(Module, Debug)]
pub struct Transforming {
    /// Frozen but for the classifier; the transformed FFNs are empty.
    model: Model,
    /// Frozen.
    bank: Bank,
    transformations: Transformations,
    #[module(skip)]
    plan: TransformationPlan,
    #[module(skip)]
    config: TransformationConfig,
}

/// Attaches transformations, all of them the identity, to a descendant.
///
/// Everything but the classifier is frozen. Layers that the plan joins share a base if their parameters
/// are equal; one that differs already (such as a new layer that starts as the identity) has its own
/// base. If a layer holds copies of a centroid, all its heads are transformed, equal or not; otherwise
/// none is.
///
/// Drawn values follow from the seed and the tensor's name, on the host; everything else is computed
/// where the model is.
///
/// # Errors
/// A plan of another model; a size of 0 or far too large; `cross-layer` for FFNs of one stage that
/// differ in width.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use learngene_expansion::{DescendantConfig, from_scratch, pretraining_finetuning};
/// use learngene_models::{Classifier, Model};
/// use learngene_shape::{Family, Vit};
/// use learngene_training::{TransformationConfig, attach};
///
/// let vit = Vit { image_size: 32, num_classes: 10, ..Vit::uniform(16, 2, 2) };
/// let shape = vit.shape()?;
/// let config = DescendantConfig { depth: 4.into(), ..DescendantConfig::default() };
/// let descendant = pretraining_finetuning(&from_scratch(&shape, 0), &shape, &config)?;
///
/// let model = Model::load(&descendant.shape, &descendant.parameters, &Device::flex())?;
/// let config = TransformationConfig { ffn: Some("low-rank:4".parse()?), ..Default::default() };
/// let transforming = attach(model, &descendant.plan(), &config)?;
/// // .. trained for a while ..
/// let logits = transforming.fold().forward(Tensor::zeros([1, 3, 32, 32], &Device::flex()));
/// assert_eq!(logits.dims(), [1, 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn attach(
    model: Model,
    plan: &TransformationPlan,
    config: &TransformationConfig,
) -> Result<Transforming> {
    let shape = model.shape();
    plan.check(&shape)?;
    config.check()?;
    let is_transformed = |layer: &usize| match config.scope {
        _ if config.ffn.is_none() => false,
        Scope::All => true,
        Scope::Shared => plan.shares_ffn(*layer),
    };
    let layers = (0..shape.depth()).filter(is_transformed);
    if matches!(config.ffn, Some(FfnTransformation::CrossLayer { .. })) {
        check_widths(&shape, layers.clone())?;
    }
    let device = model.device();
    let mut model = model.freeze();
    if let Some(classifier) = model.classifier_mut() {
        *classifier = classifier.clone().unfreeze();
    }
    let bank = Bank::take(&mut model, layers, plan);
    let drawing = Drawing { seed: config.seed, device: &device };
    let transformations = Transformations::new(config, plan, &mut model, &bank, &drawing);
    let (plan, config) = (plan.clone(), config.clone());
    Ok(Transforming { model, bank, transformations, plan, config })
}

/// Checks that the FFNs of some layers, to be mixed by stage, are equally wide in each stage.
fn check_widths(shape: &Shape, layers: impl Iterator<Item = usize> + Clone) -> Result<()> {
    let of_layer = |layer| (shape.layer(layer).stage, shape.layer(layer).ffn.hidden_dim);
    let next = layers.clone().skip(1);
    let pairs = layers.zip(next).map(|(a, b)| (b, of_layer(a), of_layer(b)));
    for (layer, before, here) in pairs {
        if before.0 == here.0 && before.1 != here.1 {
            let place = format!("layer {layer}: hidden width of the FFN");
            let expected = format!("{}, as the cross-layer transformation needs", before.1);
            return Err(Error::invalid(place, here.1, expected));
        }
    }
    Ok(())
}

impl Transforming {
    /// The plain model that computes the same, all of it trainable. The transformations are folded into
    /// its weights, and layers and heads that shared theirs are separate.
    ///
    /// The state of an optimiser of this module does not fit its parameters: train it with a new one.
    pub fn fold(self) -> Model {
        self.computed(0..self.num_layers()).map(&mut Plain)
    }

    /// What is learnt beside the classifier, on the host.
    ///
    /// # Names and shapes
    /// Linear weights are `[d_input, d_output]` here, so that `x (W + A B)` is computed.
    ///
    /// | name | shape | of |
    /// |---|---|---|
    /// | `ffn.{layer}.{fc1,fc2}.scale`, `.shift` | `[d_output]` | `scale-shift` |
    /// | `ffn.{layer}.{fc1,fc2}.a` | `[d_input, rank]` | `low-rank` |
    /// | `ffn.{layer}.{fc1,fc2}.b` | `[rank, d_output]` | `low-rank` |
    /// | `ffn.{layer}.{fc1,fc2}.shift` | `[d_output]` | `low-rank` |
    /// | `mixing.{stage}.{fc1,fc2}.inner` | `[hidden, bases]` | `cross-layer` |
    /// | `mixing.{stage}.{fc1,fc2}.offset` | `[hidden]` | `cross-layer` |
    /// | `mixing.{stage}.{fc1,fc2}.outer` | `[layers, hidden]` | `cross-layer` |
    /// | `heads.{layer}.qkv.a` | `[num_heads, embed_dim, rank]` | `low-rank` |
    /// | `heads.{layer}.qkv.b` | `[num_heads, rank, 3 * head_dim]` | `low-rank` |
    /// | `heads.{layer}.proj.a` | `[num_heads, head_dim, rank]` | `low-rank` |
    /// | `heads.{layer}.proj.b` | `[num_heads, rank, embed_dim]` | `low-rank` |
    /// | `heads.{layer}.{qkv,proj}.scale`, `.shift` | `[d_output]` | `scale-shift`; `.shift` of both |
    pub fn transformations(&self) -> StateDict {
        state_dict(&self.transformations)
    }

    /// The same model with other transformations, in the names and layouts of
    /// [`Transforming::transformations`].
    ///
    /// # Errors
    /// Lists every tensor that is missing, unused or of another shape.
    pub fn with_transformations(mut self, transformations: &StateDict) -> Result<Self> {
        self.transformations = load_into(self.transformations, transformations.clone())?;
        Ok(self)
    }

    /// The model with the weights of some layers computed, so that gradients reach what they were
    /// computed from.
    fn computed(&self, layers: Range<usize>) -> Model {
        let mut model = self.model.clone();
        self.transformations.apply(&mut model, &self.bank, layers);
        model
    }
}

impl Classifier for Transforming {
    fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        self.model.embed(images)
    }

    fn num_layers(&self) -> usize {
        self.model.num_layers()
    }

    fn forward_layer(&self, layer: usize, tokens: Tensor<3>, forward: Forward<'_>) -> Tensor<3> {
        self.computed(layer..layer + 1).forward_layer(layer, tokens, forward)
    }

    fn final_norm(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.model.final_norm(tokens)
    }

    fn pool(&self, tokens: Tensor<3>) -> Tensor<2> {
        self.model.pool(tokens)
    }

    fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        self.model.classify(features)
    }

    /// Computes the weights of all layers together, so that those of a stage are mixed only once.
    fn tokens(&self, images: Tensor<4>, forward: Forward<'_>) -> Tensor<3> {
        self.computed(0..self.num_layers()).tokens(images, forward)
    }

    fn shape(&self) -> Shape {
        self.model.shape()
    }

    /// The parameters of the folded model.
    fn state_dict(&self) -> StateDict {
        let this = self.valid();
        this.computed(0..this.num_layers()).state_dict()
    }

    /// The folded parameters do not show what was base and what was learnt, so they become the bases,
    /// and the transformations start over as the identity. Layers keep sharing a base if their
    /// parameters are equal.
    ///
    /// So the result computes the same as a model with these parameters and has the same state dict,
    /// as reading back a finished run requires. To continue with the same transformations, load the
    /// record of the module, as burn-train does to resume a run, or use
    /// [`Transforming::with_transformations`].
    fn with_parameters(self, parameters: &StateDict) -> Result<Self> {
        let model = Model::load(&self.shape(), parameters, &self.device())?;
        attach(model, &self.plan, &self.config)
    }
}

/// Makes every parameter trainable, whatever it was computed from.
struct Plain;

impl ModuleMapper for Plain {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(Tensor::detach).set_require_grad(true)
    }
}
