//! Everything that is learnt of transformations, by name.

use std::ops::Range;

use burn::module::Module;
use learngene_expansion::TransformationPlan;
use learngene_models::{Classifier, Model};

use super::{
    FfnTransformation, TransformationConfig,
    affine::Affine,
    bank::Bank,
    cross_layer::CrossLayer,
    drawing::Drawing,
    heads::Heads,
    linear::{LowRank, ScaleShift},
};

/// What is learnt. The path of a field is the name under which it is written.
#[derive(Module, Debug)]
pub(super) struct Transformations {
    /// By layer.
    ffn: Vec<Option<Ffn>>,
    /// By stage.
    mixing: Vec<Option<CrossLayer>>,
    /// By layer.
    heads: Vec<Option<Heads>>,
}

/// What is learnt of the FFN of one layer.
#[derive(Module, Debug)]
struct Ffn {
    fc1: OfLinear,
    fc2: OfLinear,
}

#[derive(Module, Debug)]
enum OfLinear {
    ScaleShift(ScaleShift),
    LowRank(LowRank),
}

impl Transformations {
    /// Identities for a model whose FFNs are in the bank.
    pub(super) fn new(
        config: &TransformationConfig,
        plan: &TransformationPlan,
        model: &mut Model,
        bank: &Bank,
        drawing: &Drawing<'_>,
    ) -> Self {
        let shape = model.shape();
        let ffn = |layer| {
            let (kind, base) = (config.ffn?, bank.base(layer)?);
            let of = |part: &str, linear| {
                OfLinear::new(&format!("ffn.{layer}.{part}"), kind, &Affine::of(linear), drawing)
            };
            Some(Ffn { fc1: of("fc1", &base.fc1)?, fc2: of("fc2", &base.fc2)? })
        };
        let mixing = |(index, stage): (usize, Range<usize>)| {
            let Some(FfnTransformation::CrossLayer { hidden }) = config.ffn else { return None };
            let bases = bank.of_stage(stage.clone()).len();
            let layers = bank.transformed(stage).len();
            let name = format!("mixing.{index}");
            (layers > 0).then(|| CrossLayer::new(&name, hidden, bases, layers, drawing))
        };
        let heads = |layer| {
            let kind = config.heads.filter(|_| plan.holds_copies(layer))?;
            let layout = shape.layer(layer).heads;
            let linears = model.linears_mut(layer);
            Some(Heads::new(&format!("heads.{layer}"), kind, layout, &linears, drawing))
        };
        Self {
            ffn: (0..shape.depth()).map(ffn).collect(),
            mixing: shape.stages().into_iter().enumerate().map(mixing).collect(),
            heads: (0..shape.depth()).map(heads).collect(),
        }
    }

    /// Puts the transformed weights of some layers in their place.
    pub(super) fn apply(&self, model: &mut Model, bank: &Bank, layers: Range<usize>) {
        for (stage, mixing) in model.shape().stages().into_iter().zip(&self.mixing) {
            if let Some(mixing) = mixing {
                mixing.apply(model, bank, stage, &layers);
            }
        }
        for layer in layers {
            let linears = model.linears_mut(layer);
            if let (Some(ffn), Some(base)) = (&self.ffn[layer], bank.base(layer)) {
                ffn.fc1.apply(Affine::of(&base.fc1)).put_into(linears.fc1);
                ffn.fc2.apply(Affine::of(&base.fc2)).put_into(linears.fc2);
            }
            if let Some(heads) = &self.heads[layer] {
                heads.apply(linears);
            }
        }
    }
}

impl OfLinear {
    /// `None` if layers are mixed instead.
    fn new(
        name: &str,
        kind: FfnTransformation,
        base: &Affine,
        drawing: &Drawing<'_>,
    ) -> Option<Self> {
        match kind {
            FfnTransformation::ScaleShift => Some(Self::ScaleShift(ScaleShift::new(base, drawing))),
            FfnTransformation::LowRank { rank } => {
                Some(Self::LowRank(LowRank::new(name, rank, base, drawing)))
            }
            FfnTransformation::CrossLayer { .. } => None,
        }
    }

    fn apply(&self, base: Affine) -> Affine {
        match self {
            Self::ScaleShift(scale_shift) => scale_shift.apply(base),
            Self::LowRank(low_rank) => low_rank.apply(base),
        }
    }
}
