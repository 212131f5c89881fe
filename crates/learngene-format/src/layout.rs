use std::collections::BTreeMap;

use crate::{
    Architecture, Error, LayerArchitecture, Manifest, Parameters, Sha256, TensorEntry, header,
    tensor,
};

impl Manifest {
    /// Name and shape of every tensor that a learngene of this manifest holds, no more and no less.
    ///
    /// This is the one place that knows the tensors of the format. [`Manifest::parameters`] and
    /// [`Manifest::tensors`] are not looked at, so a manifest whose tensors are still to be made will do.
    ///
    /// # Errors
    /// Those of [`Manifest::check`].
    pub fn expected_tensors(&self) -> Result<BTreeMap<String, Vec<usize>>, Error> {
        self.check()?;
        let mut tensors = BTreeMap::new();
        let mut put = |name: String, shape: &[usize]| {
            tensors.insert(name, shape.to_vec());
        };
        put_stem(&self.architecture, &mut put);
        if self.classifier {
            let classes = self.architecture.num_classes();
            put("head.weight".into(), &[classes, self.architecture.num_features()]);
            put("head.bias".into(), &[classes]);
        }
        for layer in 0..self.architecture.depth() {
            self.put_layer(layer, &mut put);
        }
        for (group, of) in self.ffn.groups.iter().enumerate() {
            let LayerArchitecture { embed_dim, mlp_hidden_dim, .. } =
                self.architecture.layer(of.representative);
            put(format!("ffn.{group}.fc1.weight"), &[mlp_hidden_dim, embed_dim]);
            put(format!("ffn.{group}.fc1.bias"), &[mlp_hidden_dim]);
            put(format!("ffn.{group}.fc2.weight"), &[embed_dim, mlp_hidden_dim]);
            put(format!("ffn.{group}.fc2.bias"), &[embed_dim]);
        }
        Ok(tensors)
    }

    /// Bytes of the file of a learngene of this manifest, whatever values its tensors hold. What
    /// [`Manifest::expected_tensors`] does not look at is not looked at here either.
    ///
    /// # Errors
    /// Those of [`Manifest::check`], and [`Error::Inconsistent`] or [`Error::HeaderTooLarge`] for what
    /// no file holds.
    pub fn file_length(&self) -> Result<u64, Error> {
        let shapes = self.expected_tensors()?;
        let values = shapes.values().map(|shape| tensor::value_count(shape).unwrap_or(usize::MAX));
        let stored = values.fold(0, |sum: u64, count| sum.saturating_add(count as u64));
        // All hashes are equally long.
        let entry = TensorEntry { sha256: Sha256::of(&[]) };
        let manifest = Self {
            parameters: Parameters { stored },
            tensors: shapes.keys().map(|name| (name.clone(), entry.clone())).collect(),
            ..self.clone()
        };
        let header = header::encode(&manifest, &shapes)?;
        Ok(header.len() as u64 + stored * self.dtype.size() as u64)
    }

    /// The centroid heads and the norms of one layer.
    fn put_layer(&self, layer: usize, put: &mut impl FnMut(String, &[usize])) {
        let LayerArchitecture { embed_dim, num_heads, head_dim, relative_positions, .. } =
            self.architecture.layer(layer);
        let centroids = self.layers[layer].sizes.len();
        let mut put = |name: &str, shape: &[usize]| put(format!("layers.{layer}.{name}"), shape);
        for role in ["q", "k", "v"] {
            put(&format!("attn.{role}.weight"), &[centroids, head_dim, embed_dim]);
            put(&format!("attn.{role}.bias"), &[centroids, head_dim]);
        }
        if let Some(positions) = relative_positions {
            put("attn.relative_position", &[centroids, positions]);
        }
        put("attn.proj.weight", &[centroids, embed_dim, head_dim]);
        put("attn.proj.bias", &[embed_dim]);
        for fit in self.refit.iter().flat_map(|refit| &refit.attention[layer][1..]) {
            let heads = fit.heads;
            put(&format!("attn.proj.first.{heads}.weight"), &[heads, embed_dim, head_dim]);
            put(&format!("attn.proj.first.{heads}.bias"), &[embed_dim]);
        }
        if self.keep_projection {
            put("attn.proj.origin", &[embed_dim, num_heads.saturating_mul(head_dim)]);
        }
        for norm in ["norm1", "norm2"] {
            put(&format!("{norm}.weight"), &[embed_dim]);
            put(&format!("{norm}.bias"), &[embed_dim]);
        }
    }
}

/// What every descendant needs once, the classifier aside.
fn put_stem(architecture: &Architecture, put: &mut impl FnMut(String, &[usize])) {
    put_norm("norm", architecture.num_features(), put);
    match architecture {
        Architecture::Vit(vit) => {
            let patches = (vit.image_size / vit.patch_size).saturating_pow(2);
            put_patches(vit.embed_dim, vit.in_channels, vit.patch_size, put);
            put("cls_token".into(), &[1, 1, vit.embed_dim]);
            put("pos_embed".into(), &[1, patches.saturating_add(1), vit.embed_dim]);
        }
        Architecture::Swin(swin) => {
            put_patches(swin.embed_dim, swin.in_channels, swin.patch_size, put);
            put_norm("patch_embed.norm", swin.embed_dim, put);
            for stage in 1..swin.depths.len() {
                // Four tokens of the stage before, each half as wide.
                let (dim, joined) = (swin.stage_dim(stage), 2 * swin.stage_dim(stage));
                put_norm(&format!("downsample.{stage}.norm"), joined, put);
                put(format!("downsample.{stage}.reduction.weight"), &[dim, joined]);
            }
        }
    }
}

fn put_norm(name: &str, dim: usize, put: &mut impl FnMut(String, &[usize])) {
    put(format!("{name}.weight"), &[dim]);
    put(format!("{name}.bias"), &[dim]);
}

fn put_patches(
    embed_dim: usize,
    in_channels: usize,
    patch_size: usize,
    put: &mut impl FnMut(String, &[usize]),
) {
    put("patch_embed.proj.weight".into(), &[embed_dim, in_channels, patch_size, patch_size]);
    put("patch_embed.proj.bias".into(), &[embed_dim]);
}
