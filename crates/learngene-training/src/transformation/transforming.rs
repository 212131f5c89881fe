//! A descendant while its transformations are learnt.

use std::{ops::Range, path::Path};

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};
use learngene_models::{
    BranchScales, Classifier, Model, ModelConfig, StateDict, StateDictError,
    checkpoint::{CheckpointError, PretrainedCfg},
};

use super::{
    TransformationConfig, TransformationPlan, attach, bank::Bank, transformations::Transformations,
};

/// A descendant whose transformations and classifier are learnt, while all else is frozen: a short
/// phase before everything is trained.
///
/// A descendant starts with one feed-forward network in all layers of a group, and with one head in
/// all slots that copy a centroid. What is learnt here is how each layer is made from the shared
/// base, `W_k = T_k(W)` (Cluster-Learngene, "learnable parameter transformations"), and how copies
/// of a head differ. [`attach`] makes it of a model; it trains like any other [`Classifier`], and
/// its checkpoints are folded, ordinary ones.
///
/// All transformations begin as the identity, so that the first step starts from plain inheritance,
/// and gradients reach them. In the code that was published with the paper neither held: it put a
/// random linear-ReLU-linear between bases and layers, and assigned the results through `.data`,
/// past the gradient.
///
/// # Cost
/// A forward pass works out the weights of every transformed layer once: it reads the bases and
/// writes the layers' weights. `scale-shift` does nothing more, `low-rank` multiplies `rank` times
/// for each weight, and both need the memory of the transformed weights beside that of the bases.
///
/// `cross-layer` reads all bases of a stage and multiplies `hidden * (bases + layers)` times for
/// each weight of one; a training step keeps `hidden` numbers for each, before and after the ReLU:
/// with 16, 150 MB for a ViT-S and 600 MB for a ViT-B. [`Classifier::features`] does so once a stage;
/// run layer by layer, each layer mixes its stage again and keeps as much.
///
/// The backward pass costs what a plain model's does, less the weight gradients of what is frozen:
/// those of transformed weights are needed to find those of the transformations.
#[derive(Module, Debug)]
pub struct Transforming {
    /// Frozen but for the classifier; the feed-forward networks that are transformed are empty.
    pub(super) model: Model,
    /// Frozen.
    pub(super) bank: Bank,
    pub(super) transformations: Transformations,
    #[module(skip)]
    pub(super) plan: TransformationPlan,
    #[module(skip)]
    pub(super) wanted: TransformationConfig,
}

impl Transforming {
    /// The shape of the model.
    pub fn config(&self) -> ModelConfig {
        self.model.config()
    }

    /// The plain model that computes the same, all of it trainable: the transformations are gone
    /// into its weights, and layers and heads that shared theirs are separate.
    ///
    /// What an optimiser has gathered of the transformations says nothing about its parameters:
    /// train it with a fresh one.
    pub fn fold(self) -> Model {
        self.computed(0..self.num_layers()).map(&mut Plain)
    }

    /// What is learnt, the classifier aside, on the host.
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
        StateDict::from_module(&self.transformations)
    }

    /// The same with other transformations, named and laid out as [`Transforming::transformations`]
    /// has them.
    ///
    /// # Errors
    /// Lists every tensor that is missing, unused or of another shape.
    pub fn with_transformations(
        mut self,
        transformations: &StateDict,
    ) -> Result<Self, StateDictError> {
        self.transformations = transformations.load_into(self.transformations)?;
        Ok(self)
    }

    /// The model with the weights of some layers worked out, so that gradients reach what they
    /// were worked out from.
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

    fn forward_layer_scaled(
        &self,
        layer: usize,
        tokens: Tensor<3>,
        scales: Option<&BranchScales>,
    ) -> Tensor<3> {
        self.computed(layer..layer + 1).forward_layer_scaled(layer, tokens, scales)
    }

    fn pool(&self, tokens: Tensor<3>) -> Tensor<2> {
        self.model.pool(tokens)
    }

    fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        self.model.classify(features)
    }

    /// Works out the weights of all layers together, which mixes those of a stage once.
    fn features_scaled(&self, images: Tensor<4>, scales: Option<&[BranchScales]>) -> Tensor<2> {
        self.computed(0..self.num_layers()).features_scaled(images, scales)
    }

    fn num_classes(&self) -> usize {
        self.model.num_classes()
    }

    fn image_size(&self) -> usize {
        self.model.image_size()
    }

    /// Those of the folded model.
    fn state_dict(&self) -> StateDict {
        let this = self.valid();
        this.computed(0..this.num_layers()).state_dict()
    }

    /// The folded parameters cannot tell what was base and what was learnt, so they become the
    /// bases, and the transformations begin anew as the identity. Layers go on sharing a base
    /// where their parameters are equal.
    ///
    /// So the result computes what the given parameters do and tells the same of itself, which is
    /// what reading back a finished run needs. To go on with the same transformations, read the
    /// record of the module, as burn-train does where it resumes a run, or take
    /// [`Transforming::with_transformations`].
    fn with_parameters(self, parameters: &StateDict) -> Result<Self, StateDictError> {
        let model = self.config().load(parameters, &self.device())?;
        let attached = attach(model, &self.plan, &self.wanted);
        Ok(attached.expect("plan and wishes were checked when they were attached first"))
    }

    /// An ordinary checkpoint of the folded model.
    fn save(
        &self,
        path: &Path,
        pretrained_cfg: Option<&PretrainedCfg>,
    ) -> Result<(), CheckpointError> {
        let this = self.valid();
        this.computed(0..this.num_layers()).save(path, pretrained_cfg)
    }
}

/// Makes each parameter one that is learnt, whatever it was computed from.
struct Plain;

impl ModuleMapper for Plain {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(Tensor::detach).set_require_grad(true)
    }
}
