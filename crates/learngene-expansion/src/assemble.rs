//! What all ways of inheriting have in common.

use std::collections::BTreeSet;

use learngene_models::{HostTensor, ModelConfig, StateDict, checkpoint::resample_pos_embed};

use crate::{
    ClassifierPolicy, Descendant, ExpansionError, NewLayers, SlotSource,
    attention::FusedAttention,
    checked::CheckedDescendantConfig,
    init::{fresh_classifier, fresh_layer},
    ledger::Ledger,
    width::Widths,
};

/// Parameters of a layer, in timm's names, that neither a head nor the output projection owns.
const PLAIN: [&str; 8] = [
    "norm1.weight",
    "norm1.bias",
    "norm2.weight",
    "norm2.bias",
    "mlp.fc1.weight",
    "mlp.fc1.bias",
    "mlp.fc2.weight",
    "mlp.fc2.bias",
];

/// Where the two branches of a layer end: with zeros here, the layer is the identity.
const BRANCH_ENDS: [&str; 4] =
    ["attn.proj.weight", "attn.proj.bias", "mlp.fc2.weight", "mlp.fc2.bias"];

/// What a descendant inherits from.
pub(crate) trait Source {
    /// Shape of the ancestor.
    fn ancestor(&self) -> &ModelConfig;

    /// Where the source keeps a parameter that the model has once, by timm's name.
    fn locate(&self, name: &str) -> String;

    /// Where the source keeps a parameter of a layer that no head owns.
    fn locate_in_layer(&self, layer: usize, name: &str) -> String;

    /// Which feed-forward network a layer has.
    fn ffn(&self, layer: usize) -> usize;

    /// A tensor by the source's own name.
    fn tensor(&self, name: &str) -> HostTensor;

    /// Fills the heads of a layer, and the bias of their projection, from the source's `layer`;
    /// says what filled each.
    fn fill_heads(
        &self,
        layer: usize,
        attention: &mut FusedAttention,
        wanted: &CheckedDescendantConfig,
    ) -> Result<Vec<SlotSource>, ExpansionError>;
}

/// Makes a descendant from a source.
pub(crate) fn assemble(
    source: &impl Source,
    wanted: CheckedDescendantConfig,
) -> Result<Descendant, ExpansionError> {
    let widths = Widths::new(&wanted.inherited, &wanted.shape);
    let mut assembly =
        Assembly { source, widths: &widths, to: StateDict::default(), ledger: Ledger::default() };
    assembly.copy_stem(&wanted);
    let mut slots = Vec::with_capacity(wanted.sources.len());
    let mut used = BTreeSet::new();
    for layer in 0..wanted.sources.len() {
        if wanted.drawn[layer] {
            slots.push(Vec::new());
            continue;
        }
        slots.push(assembly.copy_layer(layer, &wanted)?);
        let is_new = !used.insert(wanted.sources[layer]);
        if is_new && wanted.new_layers == NewLayers::Identity {
            assembly.silence(&wanted.inherited.block(layer));
        }
    }
    let Assembly { to, ledger, .. } = assembly;
    let mut parameters = widths.resize(to);
    let drawn = (0..wanted.drawn.len()).filter(|layer| wanted.drawn[*layer]);
    let drawn = drawn.flat_map(|layer| fresh_layer(&wanted.shape, layer, wanted.seed));
    let is_fresh = wanted.classifier == ClassifierPolicy::Fresh;
    let classifier = is_fresh.then(|| fresh_classifier(&wanted.shape, wanted.seed));
    for (name, tensor) in drawn.chain(classifier.into_iter().flatten()) {
        parameters.insert(name, tensor);
    }
    let depth = source.ancestor().depth();
    let origin = |layer: usize| (!wanted.drawn[layer]).then(|| wanted.sources[layer]);
    let layers: Vec<Option<usize>> = (0..wanted.sources.len()).map(origin).collect();
    // The ancestor's networks have the numbers below its depth.
    let ffn = |(layer, origin): (usize, &Option<usize>)| match origin {
        Some(source_layer) => source.ffn(*source_layer),
        None => depth + layer,
    };
    Ok(Descendant {
        config: wanted.shape,
        parameters,
        inherited_parameters: ledger.total(),
        ffn: layers.iter().enumerate().map(ffn).collect(),
        layers,
        slots,
    })
}

/// A descendant in the making, with the ancestor's widths.
struct Assembly<'a, S> {
    source: &'a S,
    widths: &'a Widths,
    to: StateDict,
    ledger: Ledger,
}

impl<S: Source> Assembly<'_, S> {
    /// Copies what the model has once.
    fn copy_stem(&mut self, wanted: &CheckedDescendantConfig) {
        let shape = &wanted.inherited;
        let blocks: Vec<String> =
            (0..shape.depth()).map(|layer| shape.block(layer) + ".").collect();
        for name in shape.parameter_shapes().into_keys() {
            let is_of_layer = blocks.iter().any(|block| name.starts_with(block));
            let is_classifier =
                name.rsplit_once('.').is_some_and(|(module, _)| module == shape.head());
            if is_of_layer || (is_classifier && wanted.classifier == ClassifierPolicy::Fresh) {
                continue;
            }
            let mut tensor = self.take(&self.source.locate(&name), &name);
            if let (ModelConfig::Vit(from), ModelConfig::Vit(to)) = (self.source.ancestor(), shape)
                && name == "pos_embed"
                && from.grid_size() != to.grid_size()
            {
                tensor = resample_pos_embed(&tensor, from.grid_size(), to.grid_size());
            }
            self.to.insert(name, tensor);
        }
    }

    fn copy_layer(
        &mut self,
        layer: usize,
        wanted: &CheckedDescendantConfig,
    ) -> Result<Vec<SlotSource>, ExpansionError> {
        let source = wanted.sources[layer];
        let block = wanted.inherited.block(layer);
        for name in PLAIN {
            let to = format!("{block}.{name}");
            let of = if name.starts_with("norm") { wanted.norm_sources[layer] } else { source };
            let tensor = self.take(&self.source.locate_in_layer(of, name), &to);
            self.to.insert(to, tensor);
        }
        let mut attention = FusedAttention::new(wanted.inherited.layer(layer));
        let slots = self.source.fill_heads(source, &mut attention, wanted)?;
        let narrowest = wanted.shape.layer(layer);
        let embed_dim = attention.shape().embed_dim.min(narrowest.embed_dim);
        self.ledger.take(format!("layers.{source}.attn.proj.bias"), embed_dim);
        for slot in &slots {
            self.ledger.take_head(slot, attention.shape(), embed_dim);
        }
        attention.put_into(&mut self.to, &block);
        Ok(slots)
    }

    /// Makes a layer the identity.
    fn silence(&mut self, block: &str) {
        for name in BRANCH_ENDS.map(|name| format!("{block}.{name}")) {
            let HostTensor { shape, values } =
                self.to.remove(&name).expect("the layer was copied just before");
            self.to.insert(name, HostTensor::new(shape, vec![0.0; values.len()]));
        }
    }

    /// A tensor of the source, noted as used for a parameter.
    fn take(&mut self, from: &str, to: &str) -> HostTensor {
        let tensor = self.source.tensor(from);
        self.ledger.take(from, self.widths.scalars_used(to, &tensor.shape));
        tensor
    }
}
