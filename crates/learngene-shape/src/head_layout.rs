//! The one owner of the order of heads inside fused attention weights.

use std::ops::Range;

/// Index of an attention head inside its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Head(pub usize);

/// The three projections that a fused `qkv` holds, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// What a token asks for.
    Query = 0,
    /// What a token is found by.
    Key = 1,
    /// What a token hands on.
    Value = 2,
}

impl Projection {
    /// All three, in the order of a fused `qkv`.
    pub const ALL: [Self; 3] = [Self::Query, Self::Key, Self::Value];
}

/// Where each head lies in the attention weights of a layer.
///
/// timm fuses query, key and value into one matrix whose rows are `[3, num_heads, head_dim]`; the
/// output projection reads its columns as `[num_heads, head_dim]`. Reading the rows as
/// `[num_heads, 3 * head_dim]` instead, as the paper's published code does, mixes three heads of
/// one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLayout {
    /// Heads in the layer.
    pub num_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
}

impl HeadLayout {
    /// Width of the concatenated heads, `num_heads * head_dim`.
    pub fn attention_dim(self) -> usize {
        self.num_heads * self.head_dim
    }

    /// Rows of a fused `qkv` weight, or entries of its bias, that belong to one head.
    pub fn rows(self, projection: Projection, head: Head) -> Range<usize> {
        let start = (projection as usize * self.num_heads + head.0) * self.head_dim;
        start..start + self.head_dim
    }

    /// Columns of the output projection that read one head, or entries of anything else that lists
    /// heads once.
    pub fn columns(self, head: Head) -> Range<usize> {
        head.0 * self.head_dim..(head.0 + 1) * self.head_dim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_projection_then_head() {
        let layout = HeadLayout { num_heads: 12, head_dim: 64 };
        assert_eq!(layout.rows(Projection::Key, Head(1)), 832..896);
        assert_eq!(layout.rows(Projection::Value, Head(11)), 2240..2304);
    }

    #[test]
    fn rows_of_all_heads_cover_the_weight_once() {
        let layout = HeadLayout { num_heads: 5, head_dim: 3 };
        let rows: Vec<usize> = Projection::ALL
            .into_iter()
            .flat_map(|projection| (0..5).flat_map(move |head| layout.rows(projection, Head(head))))
            .collect();
        assert_eq!(rows, (0..45).collect::<Vec<_>>());
    }

    #[test]
    fn columns_follow_the_head() {
        let layout = HeadLayout { num_heads: 3, head_dim: 64 };
        assert_eq!(layout.columns(Head(2)), 128..192);
        assert_eq!(layout.attention_dim(), 192);
    }
}
