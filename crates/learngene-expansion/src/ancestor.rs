//! The whole ancestor as what a model inherits from.

use learngene_models::{Head, HostTensor, LayerShape, ModelConfig, Projection, StateDict};

use crate::{
    ClassifierPolicy, Descendant, ExpansionError, SlotSource,
    assemble::{Source, assemble},
    assign_slots,
    attention::{FusedAttention, columns_of},
    checked::CheckedDescendantConfig,
};

/// Makes a descendant of the whole ancestor, whose layers each take the front heads.
///
/// # Errors
/// Where the parameters are not those of the ancestor's shape, or have no classifier to inherit.
pub(crate) fn inherit_whole_heads(
    parameters: &StateDict,
    ancestor: &ModelConfig,
    checked: CheckedDescendantConfig,
) -> Result<Descendant, ExpansionError> {
    check_ancestor(parameters, ancestor, checked.classifier)?;
    assemble(&Ancestor { parameters, config: ancestor }, checked)
}

/// Whether the parameters are those of the ancestor's shape, with a classifier where one is asked
/// for.
pub(crate) fn check_ancestor(
    parameters: &StateDict,
    ancestor: &ModelConfig,
    classifier: ClassifierPolicy,
) -> Result<(), ExpansionError> {
    if classifier == ClassifierPolicy::Inherit && ancestor.num_classes() == 0 {
        return Err(ExpansionError::ClassifierAbsent { place: "ancestor" });
    }
    Ok(parameters.check_against(&ancestor.parameter_shapes())?)
}

/// The ancestor as what a model inherits from.
struct Ancestor<'a> {
    /// Checked to hold every parameter of the shape.
    parameters: &'a StateDict,
    config: &'a ModelConfig,
}

impl Ancestor<'_> {
    fn values(&self, name: &str) -> &HostTensor {
        self.parameters.get(name).expect("the parameters were checked against the shape")
    }
}

impl Source for Ancestor<'_> {
    fn ancestor(&self) -> &ModelConfig {
        self.config
    }

    fn locate(&self, name: &str) -> String {
        name.to_owned()
    }

    fn locate_in_layer(&self, layer: usize, name: &str) -> String {
        format!("{}.{name}", self.config.block(layer))
    }

    fn ffn(&self, layer: usize) -> usize {
        layer
    }

    fn tensor(&self, name: &str) -> HostTensor {
        self.values(name).clone()
    }

    fn fill_heads(
        &self,
        layer: usize,
        attention: &mut FusedAttention,
        _wanted: &CheckedDescendantConfig,
    ) -> Result<Vec<SlotSource>, ExpansionError> {
        let LayerShape { heads: layout, embed_dim, .. } = self.config.layer(layer);
        let read = |name: &str| &self.values(&self.locate_in_layer(layer, name)).values;
        let weight = read("attn.qkv.weight");
        let (bias, proj) = (read("attn.qkv.bias"), read("attn.proj.weight"));
        attention.set_projection_bias(read("attn.proj.bias").clone());
        let has_positions = attention.shape().relative_positions.is_some();
        let table = has_positions.then(|| read("attn.relative_position_bias_table"));

        let heads = assign_slots(layout.num_heads, attention.num_heads());
        let fill = |(slot, &head): (usize, &usize)| {
            for projection in Projection::ALL {
                let rows = layout.rows(projection, Head(head));
                let weight = &weight[rows.start * embed_dim..rows.end * embed_dim];
                attention.set_rows(projection, Head(slot), weight, &bias[rows]);
            }
            attention.set_columns(Head(slot), &columns_of(proj, layout, Head(head)), 1.0);
            if let Some(table) = table {
                let column = table.iter().skip(head).step_by(layout.num_heads);
                let column: Vec<f32> = column.copied().collect();
                attention.set_relative_positions(Head(slot), &column);
            }
            SlotSource { layer, head, projection_head: head, projection_scale: 1.0 }
        };
        Ok(heads.iter().enumerate().map(fill).collect())
    }
}
