use burn::module::Module;
use learngene_models::{Classifier, Model};

use super::{
    Scope, TransformationConfig, TransformationError, TransformationPlan, Transforming, bank::Bank,
    drawing::Drawing, transformations::Transformations,
};

/// Attaches transformations to a descendant, all of them the identity.
///
/// All else is frozen but the classifier. Layers that the plan joins share a base where their
/// parameters are equal; one that differs already (a new layer that starts as the identity, say)
/// has a base of its own. Slots of heads need not be equal. Where a layer holds copies of a
/// centroid, all its slots are transformed; where none does, the heads' transformation is not
/// needed and there is none.
///
/// What is drawn comes from the seed and the tensor's name, on the host; the rest is computed where
/// the model is.
///
/// # Errors
/// [`TransformationError`] where the plan is another model's, or a size is impossible.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use learngene_expansion::{
///     DescendantConfig, TransformationConfig, attach, from_scratch, pretraining_finetuning,
/// };
/// use learngene_models::{Classifier, VitConfig};
///
/// let vit = VitConfig::uniform(16, 2, 2).with_image_size(32).with_num_classes(10);
/// let ancestor = from_scratch(&vit.clone().into(), 0)?;
/// let wanted = DescendantConfig { depth: 4.into(), ..DescendantConfig::default() };
/// let descendant = pretraining_finetuning(&ancestor, &vit.into(), &wanted)?;
///
/// let model = descendant.config.load(&descendant.parameters, &Device::flex())?;
/// let wanted = TransformationConfig { ffn: Some("low-rank:4".parse()?), ..Default::default() };
/// let transforming = attach(model, &descendant.plan(), &wanted)?;
/// // .. trained for a while ..
/// let logits = transforming.fold().forward(Tensor::zeros([1, 3, 32, 32], &Device::flex()));
/// assert_eq!(logits.dims(), [1, 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn attach(
    model: Model,
    plan: &TransformationPlan,
    wanted: &TransformationConfig,
) -> Result<Transforming, TransformationError> {
    plan.check(&model.config())?;
    wanted.check()?;
    let device = model.device();
    let mut model = learn_classifier_alone(model);
    let is_transformed = |layer: &usize| match wanted.scope {
        _ if wanted.ffn.is_none() => false,
        Scope::All => true,
        Scope::Shared => plan.shares_ffn(*layer),
    };
    let layers = (0..plan.ffn.len()).filter(is_transformed);
    let bank = Bank::take(&mut model, layers, plan);
    let drawing = Drawing { seed: wanted.seed, device: &device };
    let transformations = Transformations::new(wanted, plan, &mut model, &bank, &drawing);
    let (plan, wanted) = (plan.clone(), wanted.clone());
    Ok(Transforming { model, bank, transformations, plan, wanted })
}

/// Freezes all but the classifier.
fn learn_classifier_alone(model: Model) -> Model {
    let mut model = model.freeze();
    let head = match &mut model {
        Model::Vit(vit) => &mut vit.head,
        Model::Swin(swin) => &mut swin.head.fc,
    };
    *head = head.take().map(Module::unfreeze);
    model
}
