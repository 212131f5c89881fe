use learngene_models::{Head, HeadLayout, HostTensor, LayerShape, Projection, StateDict};

/// The fused attention weights of one descendant layer, filled head by head.
pub(crate) struct FusedAttention {
    shape: LayerShape,
    /// `[3 * num_heads * head_dim, embed_dim]`
    qkv_weight: Vec<f32>,
    /// `[3 * num_heads * head_dim]`
    qkv_bias: Vec<f32>,
    /// `[embed_dim, num_heads * head_dim]`
    proj_weight: Vec<f32>,
    /// `[embed_dim]`
    proj_bias: Vec<f32>,
    /// `[relative_positions, num_heads]`, in families that have them.
    table: Option<Vec<f32>>,
}

impl FusedAttention {
    /// All zeros.
    pub(crate) fn new(shape: LayerShape) -> Self {
        let (attention_dim, embed_dim) = (shape.heads.attention_dim(), shape.embed_dim);
        let table = |positions| vec![0.0; positions * shape.heads.num_heads];
        Self {
            shape,
            qkv_weight: vec![0.0; 3 * attention_dim * embed_dim],
            qkv_bias: vec![0.0; 3 * attention_dim],
            proj_weight: vec![0.0; embed_dim * attention_dim],
            proj_bias: vec![0.0; embed_dim],
            table: shape.relative_positions.map(table),
        }
    }

    /// Shape of the layer.
    pub(crate) fn shape(&self) -> LayerShape {
        self.shape
    }

    /// Heads of the layer.
    pub(crate) fn num_heads(&self) -> usize {
        self.shape.heads.num_heads
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
        let rows = self.shape.heads.rows(projection, head);
        let embed_dim = self.shape.embed_dim;
        self.qkv_bias[rows.clone()].copy_from_slice(bias);
        self.qkv_weight[rows.start * embed_dim..rows.end * embed_dim].copy_from_slice(weight);
    }

    /// Gives a head its columns of the output projection, each times `scale`.
    ///
    /// # Shapes
    /// - columns: `[embed_dim, head_dim]`
    pub(crate) fn set_columns(&mut self, head: Head, columns: &[f32], scale: f32) {
        let layout = self.shape.heads;
        let place = layout.columns(head);
        let rows = self.proj_weight.chunks_exact_mut(layout.attention_dim());
        for (row, values) in rows.zip(columns.chunks_exact(layout.head_dim)) {
            for (to, from) in row[place.clone()].iter_mut().zip(values) {
                *to = from * scale;
            }
        }
    }

    /// Sets the bias of the output projection, `[embed_dim]`.
    pub(crate) fn set_projection_bias(&mut self, bias: Vec<f32>) {
        self.proj_bias = bias;
    }

    /// Gives a head its biases of relative positions, `[relative_positions]`.
    ///
    /// # Panics
    /// Panics where the family has none.
    pub(crate) fn set_relative_positions(&mut self, head: Head, biases: &[f32]) {
        let num_heads = self.shape.heads.num_heads;
        let table = self.table.as_mut().expect("the family has relative positions");
        for (row, bias) in table.chunks_exact_mut(num_heads).zip(biases) {
            row[head.0] = *bias;
        }
    }

    /// Moves the weights into the parameters of a model, below the layer's name.
    pub(crate) fn put_into(self, parameters: &mut StateDict, block: &str) {
        let (attention_dim, embed_dim) = (self.shape.heads.attention_dim(), self.shape.embed_dim);
        let mut put = |name: &str, shape: &[usize], values| {
            parameters.insert(format!("{block}.attn.{name}"), HostTensor::new(shape, values));
        };
        put("qkv.weight", &[3 * attention_dim, embed_dim], self.qkv_weight);
        put("qkv.bias", &[3 * attention_dim], self.qkv_bias);
        put("proj.weight", &[embed_dim, attention_dim], self.proj_weight);
        put("proj.bias", &[embed_dim], self.proj_bias);
        if let (Some(table), Some(positions)) = (self.table, self.shape.relative_positions) {
            let shape = [positions, self.shape.heads.num_heads];
            put("relative_position_bias_table", &shape, table);
        }
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
        let mut attention = FusedAttention::new(LayerShape {
            embed_dim: 2,
            heads: LAYOUT,
            mlp_hidden_dim: 8,
            relative_positions: Some(3),
        });
        for (head, base) in [(Head(0), 10.0), (Head(1), 20.0)] {
            for projection in Projection::ALL {
                let value = base + projection as usize as f32;
                attention.set_rows(projection, head, &[value, -value], &[value / 2.0]);
            }
            attention.set_columns(head, &[base, base + 5.0], 2.0);
            attention.set_relative_positions(head, &[base, base + 1.0, base + 2.0]);
        }
        attention.set_projection_bias(vec![7.0, 8.0]);

        let mut parameters = StateDict::default();
        attention.put_into(&mut parameters, "blocks.3");
        let values = |name: &str| parameters.get(name).map(|tensor| tensor.values.as_slice());
        // Rows are [3, num_heads, head_dim].
        let weight = [10., -10., 20., -20., 11., -11., 21., -21., 12., -12., 22., -22.];
        assert_eq!(values("blocks.3.attn.qkv.weight"), Some(&weight[..]));
        assert_eq!(values("blocks.3.attn.qkv.bias"), Some(&[5., 10., 5.5, 10.5, 6., 11.][..]));
        assert_eq!(values("blocks.3.attn.proj.weight"), Some(&[20., 40., 30., 50.][..]));
        assert_eq!(values("blocks.3.attn.proj.bias"), Some(&[7., 8.][..]));
        let table = values("blocks.3.attn.relative_position_bias_table");
        assert_eq!(table, Some(&[10., 20., 11., 21., 12., 22.][..]));
    }

    #[test]
    fn columns_are_cut_as_they_are_set() {
        assert_eq!(columns_of(&[1., 2., 3., 4.], LAYOUT, Head(1)), [2., 4.]);
    }
}
