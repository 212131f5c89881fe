//! What all ways of inheriting have in common.

use learngene_models::{HostTensor, StateDict, checkpoint::resample_pos_embed};

use crate::{
    ClassifierPolicy, Descendant, ExpansionError, SlotSource, attention::FusedAttention,
    config::CheckedDescendantConfig, init::fresh_classifier, ledger::Ledger,
};

/// Parameters that a model has once, in timm's names; positions and classifier aside.
const STEM: [&str; 5] =
    ["patch_embed.proj.weight", "patch_embed.proj.bias", "cls_token", "norm.weight", "norm.bias"];

/// Parameters of a layer, in timm's names, that no head owns.
const PLAIN: [&str; 9] = [
    "norm1.weight",
    "norm1.bias",
    "attn.proj.bias",
    "norm2.weight",
    "norm2.bias",
    "mlp.fc1.weight",
    "mlp.fc1.bias",
    "mlp.fc2.weight",
    "mlp.fc2.bias",
];

/// What a descendant inherits from.
pub(crate) trait Source {
    /// Where the source keeps a parameter of a layer that no head owns.
    fn locate(&self, layer: usize, name: &str) -> String;

    /// A tensor by the source's own name.
    fn tensor(&self, name: &str) -> HostTensor;

    /// Fills the heads of a layer from the source's `layer`; says what filled each.
    fn fill_heads(
        &self,
        layer: usize,
        attention: &mut FusedAttention,
        wanted: &CheckedDescendantConfig,
    ) -> Result<Vec<SlotSource>, ExpansionError>;
}

/// Makes a descendant from a source whose images are cut into `grid_size` patches a side.
pub(crate) fn assemble(
    source: &impl Source,
    grid_size: usize,
    wanted: CheckedDescendantConfig,
) -> Result<Descendant, ExpansionError> {
    let mut assembly = Assembly { source, to: StateDict::default(), ledger: Ledger::default() };
    for name in STEM {
        assembly.copy(name, name);
    }
    assembly.copy_positions(grid_size, wanted.shape.grid_size());
    assembly.put_classifier(&wanted);
    let mut slots = Vec::with_capacity(wanted.sources.len());
    for layer in 0..wanted.sources.len() {
        slots.push(assembly.copy_layer(layer, &wanted)?);
    }
    Ok(Descendant {
        config: wanted.shape,
        parameters: assembly.to,
        inherited_parameters: assembly.ledger.total(),
        layers: wanted.sources,
        slots,
    })
}

/// A descendant in the making.
struct Assembly<'a, S> {
    source: &'a S,
    to: StateDict,
    ledger: Ledger,
}

impl<S: Source> Assembly<'_, S> {
    fn copy_positions(&mut self, old_grid: usize, new_grid: usize) {
        let mut positions = self.take("pos_embed");
        if old_grid != new_grid {
            positions = resample_pos_embed(&positions, old_grid, new_grid);
        }
        self.to.insert("pos_embed", positions);
    }

    fn put_classifier(&mut self, wanted: &CheckedDescendantConfig) {
        match wanted.classifier {
            ClassifierPolicy::Inherit => {
                self.copy("head.weight", "head.weight");
                self.copy("head.bias", "head.bias");
            }
            ClassifierPolicy::Fresh => {
                for (name, tensor) in fresh_classifier(&wanted.shape, wanted.seed) {
                    self.to.insert(name, tensor);
                }
            }
        }
    }

    fn copy_layer(
        &mut self,
        layer: usize,
        wanted: &CheckedDescendantConfig,
    ) -> Result<Vec<SlotSource>, ExpansionError> {
        let source = wanted.sources[layer];
        for name in PLAIN {
            self.copy(&self.source.locate(source, name), &format!("blocks.{layer}.{name}"));
        }
        let (layout, embed_dim) = (wanted.shape.head_layout(layer), wanted.shape.embed_dim);
        let mut attention = FusedAttention::new(layout, embed_dim);
        let slots = self.source.fill_heads(source, &mut attention, wanted)?;
        for slot in &slots {
            self.ledger.take_head(slot, layout.head_dim, embed_dim);
        }
        attention.put_into(&mut self.to, layer);
        Ok(slots)
    }

    fn copy(&mut self, from: &str, to: &str) {
        let tensor = self.take(from);
        self.to.insert(to, tensor);
    }

    fn take(&mut self, name: &str) -> HostTensor {
        let tensor = self.source.tensor(name);
        self.ledger.take(name, tensor.values.len());
        tensor
    }
}
