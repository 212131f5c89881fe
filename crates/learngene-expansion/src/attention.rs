use learngene_models::{Head, HeadLayout, HostTensor, Projection, StateDict};

/// The fused attention weights of one descendant layer, filled head by head.
pub(crate) struct FusedAttention {
    layout: HeadLayout,
    embed_dim: usize,
    /// `[3 * num_heads * head_dim, embed_dim]`
    qkv_weight: Vec<f32>,
    /// `[3 * num_heads * head_dim]`
    qkv_bias: Vec<f32>,
    /// `[embed_dim, num_heads * head_dim]`
    proj_weight: Vec<f32>,
}

impl FusedAttention {
    /// All zeros.
    pub(crate) fn new(layout: HeadLayout, embed_dim: usize) -> Self {
        let attention_dim = layout.attention_dim();
        Self {
            layout,
            embed_dim,
            qkv_weight: vec![0.0; 3 * attention_dim * embed_dim],
            qkv_bias: vec![0.0; 3 * attention_dim],
            proj_weight: vec![0.0; embed_dim * attention_dim],
        }
    }

    /// Where the heads lie.
    pub(crate) fn layout(&self) -> HeadLayout {
        self.layout
    }

    /// Gives a head its query, key or value.
    ///
    /// # Shapes
    /// - weight: `[head_dim, embed_dim]`
    /// - bias: `[head_dim]`
    pub(crate) fn set_rows(
        &mut self,
        projection: Projection,
        head: Head,
        weight: &[f32],
        bias: &[f32],
    ) {
        let rows = self.layout.rows(projection, head);
        self.qkv_bias[rows.clone()].copy_from_slice(bias);
        self.qkv_weight[rows.start * self.embed_dim..rows.end * self.embed_dim]
            .copy_from_slice(weight);
    }

    /// Gives a head its columns of the output projection, each times `scale`.
    ///
    /// # Shapes
    /// - columns: `[embed_dim, head_dim]`
    pub(crate) fn set_columns(&mut self, head: Head, columns: &[f32], scale: f32) {
        let place = self.layout.columns(head);
        let rows = self.proj_weight.chunks_exact_mut(self.layout.attention_dim());
        for (row, values) in rows.zip(columns.chunks_exact(self.layout.head_dim)) {
            for (to, from) in row[place.clone()].iter_mut().zip(values) {
                *to = from * scale;
            }
        }
    }

    /// Moves the weights into the parameters of a model.
    pub(crate) fn put_into(self, parameters: &mut StateDict, layer: usize) {
        let attention_dim = self.layout.attention_dim();
        let name = |name: &str| format!("blocks.{layer}.attn.{name}");
        let weight = HostTensor::new([3 * attention_dim, self.embed_dim], self.qkv_weight);
        parameters.insert(name("qkv.weight"), weight);
        parameters.insert(name("qkv.bias"), HostTensor::new([3 * attention_dim], self.qkv_bias));
        let weight = HostTensor::new([self.embed_dim, attention_dim], self.proj_weight);
        parameters.insert(name("proj.weight"), weight);
    }
}

/// The columns of a whole output projection that read one head.
///
/// # Shapes
/// - projection: `[embed_dim, num_heads * head_dim]`
/// - output: `[embed_dim, head_dim]`
pub(crate) fn columns_of(projection: &[f32], layout: HeadLayout, head: Head) -> Vec<f32> {
    let rows = projection.chunks_exact(layout.attention_dim());
    rows.flat_map(|row| &row[layout.columns(head)]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: HeadLayout = HeadLayout { num_heads: 2, head_dim: 1 };

    #[test]
    fn each_head_fills_its_own_rows_and_columns() {
        let mut attention = FusedAttention::new(LAYOUT, 2);
        for (head, base) in [(Head(0), 10.0), (Head(1), 20.0)] {
            for projection in Projection::ALL {
                let value = base + projection as usize as f32;
                attention.set_rows(projection, head, &[value, -value], &[value / 2.0]);
            }
            attention.set_columns(head, &[base, base + 5.0], 2.0);
        }

        let mut parameters = StateDict::default();
        attention.put_into(&mut parameters, 3);
        let values = |name: &str| parameters.get(name).map(|tensor| tensor.values.as_slice());
        // Rows are [3, num_heads, head_dim].
        let weight = [10., -10., 20., -20., 11., -11., 21., -21., 12., -12., 22., -22.];
        assert_eq!(values("blocks.3.attn.qkv.weight"), Some(&weight[..]));
        assert_eq!(values("blocks.3.attn.qkv.bias"), Some(&[5., 10., 5.5, 10.5, 6., 11.][..]));
        assert_eq!(values("blocks.3.attn.proj.weight"), Some(&[20., 40., 30., 50.][..]));
    }

    #[test]
    fn columns_are_cut_as_they_are_set() {
        assert_eq!(columns_of(&[1., 2., 3., 4.], LAYOUT, Head(1)), [2., 4.]);
    }
}
