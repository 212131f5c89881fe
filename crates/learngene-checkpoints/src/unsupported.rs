//! What the published implementations can hold: timm's, those of the papers' repositories and
//! transformers', whose layers differ from stage to stage alone.

use learngene_shape::{FfnKind, LayerShape, Shape};

/// Why no published implementation can hold a model of this shape; none where one can.
pub fn unsupported_reason(shape: &Shape) -> Option<String> {
    for layers in shape.stages() {
        let first = layers.start;
        let LayerShape { embed_dim, heads, ffn, .. } = shape.layer(first);
        for layer in layers {
            let other = shape.layer(layer);
            if other.heads.num_heads != heads.num_heads {
                let (heads, others) = (heads.num_heads, other.heads.num_heads);
                return Some(format!(
                    "{heads} heads in layer {first} and {others} in layer {layer}"
                ));
            }
            if other.ffn.hidden_dim != ffn.hidden_dim {
                let (width, others) = (ffn.hidden_dim, other.ffn.hidden_dim);
                return Some(format!(
                    "FFNs {width} wide in layer {first} and {others} in layer {layer}"
                ));
            }
        }
        if heads.attention_dim() != embed_dim {
            let (heads, width) = (heads.num_heads, heads.head_dim);
            return Some(format!(
                "{heads} heads of width {width}, together not as wide as its embed_dim of {embed_dim}"
            ));
        }
        if ffn.kind != FfnKind::Mlp {
            return Some(format!("FFNs of kind {:?}", ffn.kind));
        }
    }
    if mlp_ratio(shape).is_none() {
        let widths: Vec<usize> = stages(shape).map(|(_, hidden_dim)| hidden_dim).collect();
        return Some(format!("FFNs {widths:?} wide, not one ratio to the widths of its stages"));
    }
    None
}

/// Hidden width of the FFNs divided by the width of their stage, where that is one number.
pub(crate) fn mlp_ratio(shape: &Shape) -> Option<f64> {
    let (embed_dim, hidden_dim) = stages(shape).next()?;
    let exact = hidden_dim as f64 / embed_dim as f64;
    let fits = |ratio: &f64| stages(shape).all(|(embed, want)| ffn_width(*ratio, embed) == want);
    [exact, exact.next_up()].into_iter().find(fits)
}

/// Hidden width of an FFN by its ratio to the width of the tokens: implementations round it down.
pub(crate) fn ffn_width(mlp_ratio: f64, embed_dim: usize) -> usize {
    (mlp_ratio * embed_dim as f64) as usize
}

/// Width of the tokens and of the FFNs of each stage, by its first layer.
fn stages(shape: &Shape) -> impl Iterator<Item = (usize, usize)> {
    shape.stages().into_iter().map(|layers| {
        let first = shape.layer(layers.start);
        (first.embed_dim, first.ffn.hidden_dim)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use learngene_shape::{Family, Swin, Vit};

    fn check(family: impl Family, want: Option<&str>) {
        assert_eq!(unsupported_reason(&family.shape().expect("possible")).as_deref(), want);
    }

    #[test]
    fn presets_have_none() {
        for (name, shape) in Shape::presets() {
            assert_eq!(unsupported_reason(&shape), None, "{name}");
        }
    }

    #[test]
    fn layers_that_differ() {
        let vit = |heads: [usize; 2], hidden: [usize; 2]| {
            Vit::new(24, heads.into(), 24 / heads[0], hidden.into())
        };
        check(vit([3, 2], [40, 40]), Some("3 heads in layer 0 and 2 in layer 1"));
        check(vit([3, 3], [40, 30]), Some("FFNs 40 wide in layer 0 and 30 in layer 1"));
        let swin = Swin { num_heads: vec![3, 6, 4], ..Swin::uniform(24, &[1, 2], &[3, 6]) };
        check(swin, Some("6 heads in layer 1 and 4 in layer 2"));
    }

    #[test]
    fn layers_that_are_made_otherwise() {
        let narrow = Vit::new(24, vec![2], 8, vec![40]);
        let message = "2 heads of width 8, together not as wide as its embed_dim of 24";
        check(narrow, Some(message));
        let gated = Vit { ffn: FfnKind::SwiGlu, ..Vit::uniform(24, 1, 3) };
        check(gated, Some("FFNs of kind SwiGlu"));
        let swin = |hidden: [usize; 2]| Swin {
            hidden_dim: hidden.into(),
            ..Swin::uniform(24, &[1, 1], &[3, 6])
        };
        check(swin([40, 80]), None);
        let message = "FFNs [40, 81] wide, not one ratio to the widths of its stages";
        check(swin([40, 81]), Some(message));
    }

    /// Whatever the hidden width, rounding down gives it back.
    #[test]
    fn a_ratio_gives_back_the_widths_it_was_made_of() {
        for (dim, hidden) in (1..130).flat_map(|dim| (1..300).map(move |hidden| (dim, hidden))) {
            let swin = Swin {
                hidden_dim: vec![hidden, 2 * hidden],
                ..Swin::uniform(dim, &[1, 1], &[1, 1])
            };
            let shape = swin.shape().expect("possible");
            assert!(mlp_ratio(&shape).is_some(), "{hidden} of {dim}");
        }
    }
}
