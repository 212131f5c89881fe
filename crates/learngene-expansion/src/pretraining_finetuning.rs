use learngene_models::{Head, HostTensor, Projection, StateDict, VitConfig};

use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, ExpansionError, SlotSource,
    assemble::{Source, assemble},
    assign_slots,
    attention::{FusedAttention, columns_of},
    config::CheckedDescendantConfig,
};

/// Initialises a model of another shape from the whole ancestor: the paper's
/// Pretraining-Finetuning, for comparison.
///
/// Layers are chosen by [`LayerPolicy`](crate::LayerPolicy), by default the front ones, and each
/// takes the front heads, whole: rows and biases of query, key and value and columns of the output
/// projection. Where it has more heads than the ancestor, they repeat cyclically, unscaled. The
/// wishes for an order and for projections are not looked at: both speak of clusters.
///
/// # Errors
/// [`ExpansionError::Ancestor`] where the parameters are not those of the ancestor's shape, and
/// otherwise where the ancestor cannot give what is wanted.
pub fn pretraining_finetuning(
    parameters: &StateDict,
    ancestor: &VitConfig,
    wanted: &DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    let checked = wanted.check(ancestor)?;
    if checked.classifier == ClassifierPolicy::Inherit && ancestor.num_classes == 0 {
        return Err(ExpansionError::ClassifierAbsent { place: "ancestor" });
    }
    parameters.check_against(&ancestor.parameter_shapes())?;
    assemble(&Ancestor { parameters, config: ancestor }, ancestor.grid_size(), checked)
}

/// The ancestor as what a model inherits from.
struct Ancestor<'a> {
    /// Checked to hold every parameter of the shape.
    parameters: &'a StateDict,
    config: &'a VitConfig,
}

impl Ancestor<'_> {
    fn values(&self, name: &str) -> &HostTensor {
        self.parameters.get(name).expect("the parameters were checked against the shape")
    }
}

impl Source for Ancestor<'_> {
    fn locate(&self, layer: usize, name: &str) -> String {
        format!("blocks.{layer}.{name}")
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
        let layout = self.config.head_layout(layer);
        let embed_dim = self.config.embed_dim;
        let read = |name: &str| &self.values(&format!("blocks.{layer}.attn.{name}")).values;
        let (weight, bias, proj) = (read("qkv.weight"), read("qkv.bias"), read("proj.weight"));

        let heads = assign_slots(layout.num_heads, attention.layout().num_heads);
        let fill = |(slot, &head): (usize, &usize)| {
            for projection in Projection::ALL {
                let rows = layout.rows(projection, Head(head));
                let weight = &weight[rows.start * embed_dim..rows.end * embed_dim];
                attention.set_rows(projection, Head(slot), weight, &bias[rows]);
            }
            attention.set_columns(Head(slot), &columns_of(proj, layout, Head(head)), 1.0);
            SlotSource { layer, head, projection_head: head, projection_scale: 1.0 }
        };
        Ok(heads.iter().enumerate().map(fill).collect())
    }
}
