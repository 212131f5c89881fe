use std::collections::BTreeMap;

use crate::{Architecture, Error, Manifest, VitArchitecture};

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
        let Architecture::Vit(vit) = &self.architecture;
        let mut tensors = BTreeMap::new();
        vit_stem(vit, self.classifier, &mut tensors);
        for (layer, clusters) in self.layers.iter().enumerate() {
            let mut put = |name: &str, shape: &[usize]| {
                tensors.insert(format!("layers.{layer}.{name}"), shape.to_vec());
            };
            vit_layer(vit, clusters.sizes.len(), &mut put);
            if self.keep_projection {
                let attn_dim = vit.num_heads[layer] * vit.head_dim;
                put("attn.proj.origin", &[vit.embed_dim, attn_dim]);
            }
        }
        for group in 0..self.ffn_groups.len() {
            let mut put = |name: &str, shape: &[usize]| {
                tensors.insert(format!("ffn.{group}.{name}"), shape.to_vec());
            };
            put("fc1.weight", &[vit.mlp_hidden_dim, vit.embed_dim]);
            put("fc1.bias", &[vit.mlp_hidden_dim]);
            put("fc2.weight", &[vit.embed_dim, vit.mlp_hidden_dim]);
            put("fc2.bias", &[vit.embed_dim]);
        }
        Ok(tensors)
    }
}

/// What every descendant needs once: patch embedding, class token, positions, final norm, classifier.
fn vit_stem(vit: &VitArchitecture, classifier: bool, tensors: &mut BTreeMap<String, Vec<usize>>) {
    let mut put = |name: &str, shape: &[usize]| {
        tensors.insert(name.to_owned(), shape.to_vec());
    };
    let VitArchitecture { patch_size, in_channels, embed_dim, num_classes, .. } = *vit;
    let grid = vit.image_size / patch_size;
    put("patch_embed.proj.weight", &[embed_dim, in_channels, patch_size, patch_size]);
    put("patch_embed.proj.bias", &[embed_dim]);
    put("cls_token", &[1, 1, embed_dim]);
    put("pos_embed", &[1, 1 + grid * grid, embed_dim]);
    put("norm.weight", &[embed_dim]);
    put("norm.bias", &[embed_dim]);
    if classifier {
        put("head.weight", &[num_classes, embed_dim]);
        put("head.bias", &[num_classes]);
    }
}

/// The centroid heads and the norms of one layer.
fn vit_layer(vit: &VitArchitecture, centroids: usize, put: &mut impl FnMut(&str, &[usize])) {
    let VitArchitecture { embed_dim, head_dim, .. } = *vit;
    for role in ["q", "k", "v"] {
        put(&format!("attn.{role}.weight"), &[centroids, head_dim, embed_dim]);
        put(&format!("attn.{role}.bias"), &[centroids, head_dim]);
    }
    put("attn.proj.weight", &[centroids, embed_dim, head_dim]);
    put("attn.proj.bias", &[embed_dim]);
    for norm in ["norm1", "norm2"] {
        put(&format!("{norm}.weight"), &[embed_dim]);
        put(&format!("{norm}.bias"), &[embed_dim]);
    }
}
