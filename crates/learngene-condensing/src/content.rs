//! What each tensor of a learngene is of its ancestor.

use std::fmt;

use learngene_format::{FfnNorm, Manifest, RepresentativePolicy};
use learngene_models::{LayerShape, ModelConfig, Projection};
use serde::{Serialize, Serializer};

/// One part of a head, as a learngene stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadPart {
    /// Rows of the fused `qkv` weight: `[head_dim, embed_dim]`.
    Weight(Projection),
    /// Entries of the fused `qkv` bias: `[head_dim]`.
    Bias(Projection),
    /// Columns of the output projection that read the head: `[embed_dim, head_dim]`.
    ProjectionColumns,
    /// Of a Swin, the head's column of the table of relative positions: `[(2 window - 1)^2]`.
    RelativePosition,
}

impl HeadPart {
    const ALL: [Self; 8] = {
        use Projection::{Key, Query, Value};
        [
            Self::Weight(Query),
            Self::Bias(Query),
            Self::Weight(Key),
            Self::Bias(Key),
            Self::Weight(Value),
            Self::Bias(Value),
            Self::ProjectionColumns,
            Self::RelativePosition,
        ]
    };

    /// The parts that together are a whole head of a layer of this shape: seven, and the eighth
    /// where the family has relative positions.
    pub fn of(shape: LayerShape) -> impl Iterator<Item = Self> {
        let has_positions = shape.relative_positions.is_some();
        Self::ALL.into_iter().filter(move |part| has_positions || *part != Self::RelativePosition)
    }

    /// Name of the learngene's tensor that holds this part of each centroid of a layer.
    pub(crate) fn tensor_name(self, layer: usize) -> String {
        format!("layers.{layer}.attn.{self}")
    }
}

/// The name under which a learngene's layer stores the part, such as `q.weight`.
impl fmt::Display for HeadPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight(projection) => write!(f, "{}.weight", projection.letter()),
            Self::Bias(projection) => write!(f, "{}.bias", projection.letter()),
            Self::ProjectionColumns => f.write_str("proj.weight"),
            Self::RelativePosition => f.write_str("relative_position"),
        }
    }
}

impl Serialize for HeadPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a tensor of a learngene is of its ancestor.
#[derive(Debug, PartialEq)]
pub(crate) enum Content {
    /// The tensor of this name whole, or of several names their average.
    Whole(Vec<String>),
    /// A part of each centroid head of a layer, in order of priority.
    Heads { layer: usize, part: HeadPart },
}

impl Content {
    /// Reads the name of a tensor, one of the format's, for an ancestor of this shape.
    pub(crate) fn of(name: &str, manifest: &Manifest, config: &ModelConfig) -> Self {
        let number = |text: &str| text.parse().expect("the format numbers layers and groups");
        let block = |layer: usize, tensor: &str| format!("{}.{tensor}", config.block(layer));
        let one = |name: String| Self::Whole(vec![name]);
        let of_ffn = |group: usize, tensor: &str| {
            let layers = ffn_layers(manifest, group);
            Self::Whole(layers.into_iter().map(|layer| block(layer, tensor)).collect())
        };
        match *name.splitn(3, '.').collect::<Vec<_>>() {
            ["ffn", group, tensor] => of_ffn(number(group), &format!("mlp.{tensor}")),
            ["layers", layer, "attn.proj.origin"] => one(block(number(layer), "attn.proj.weight")),
            ["layers", layer, tensor] => {
                let layer = number(layer);
                match HeadPart::ALL.into_iter().find(|part| part.tensor_name(layer) == name) {
                    Some(part) => Self::Heads { layer, part },
                    None if tensor.starts_with("norm2.")
                        && manifest.ffn.norm == FfnNorm::Representative =>
                    {
                        of_ffn(manifest.ffn.group_of(layer), tensor)
                    }
                    None => one(block(layer, tensor)),
                }
            }
            ["downsample", stage, tensor] => one(format!("layers.{stage}.downsample.{tensor}")),
            ["head", tensor] => one(format!("{}.{tensor}", config.head())),
            _ => one(name.to_owned()),
        }
    }
}

/// Whether a learngene of this manifest may hold fitted numbers under this name instead of the
/// ancestor's.
pub(crate) fn is_refitted(name: &str, manifest: &Manifest) -> bool {
    let Some(refit) = &manifest.refit else { return false };
    match *name.splitn(3, '.').collect::<Vec<_>>() {
        ["layers", _, tensor] => tensor.starts_with("attn.proj.") && tensor != "attn.proj.origin",
        ["ffn", group, "fc2.weight" | "fc2.bias"] => {
            let group: usize = group.parse().expect("the format numbers groups");
            refit.ffn[group].is_some()
        }
        _ => false,
    }
}

/// Layers of the ancestor whose average a group's feed-forward network is: one alone where it
/// stands for the group.
fn ffn_layers(manifest: &Manifest, group: usize) -> Vec<usize> {
    let of = &manifest.ffn.groups[group];
    match manifest.ffn.representative {
        RepresentativePolicy::Nearest => vec![of.representative],
        RepresentativePolicy::Mean => of.layers.clone(),
    }
}
