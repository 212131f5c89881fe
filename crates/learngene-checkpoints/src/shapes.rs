//! Shapes of a model's parameters, without building the model.

use std::collections::BTreeMap;

use crate::VitConfig;

impl VitConfig {
    /// Names and shapes of all parameters, as timm has them (linear weights are `[out, in]`).
    ///
    /// ```
    /// # use learngene_models::VitConfig;
    /// let shapes = VitConfig::deit_tiny().parameter_shapes();
    /// assert_eq!(shapes["blocks.11.attn.qkv.weight"], [576, 192]);
    /// ```
    pub fn parameter_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let embed = self.embed_dim;
        let mut shapes = BTreeMap::from([
            ("cls_token".into(), vec![1, 1, embed]),
            ("pos_embed".into(), vec![1, 1 + self.num_patches(), embed]),
        ]);
        let mut affine = |name: String, weight: Vec<usize>| {
            shapes.insert(format!("{name}.bias"), vec![weight[0]]);
            shapes.insert(format!("{name}.weight"), weight);
        };
        affine(
            "patch_embed.proj".into(),
            vec![embed, self.in_channels, self.patch_size, self.patch_size],
        );
        for layer in 0..self.depth() {
            for (name, weight) in self.layer(layer).affine_shapes() {
                affine(format!("blocks.{layer}.{name}"), weight);
            }
        }
        affine("norm".into(), vec![embed]);
        if self.num_classes > 0 {
            affine("head".into(), vec![self.num_classes, embed]);
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::Classifier;

    #[test]
    fn shapes_are_those_of_the_module() {
        for num_classes in [0, 5] {
            let config = VitConfig::new(24, vec![3, 1, 2], 8, 40)
                .with_image_size(16)
                .with_patch_size(4)
                .with_num_classes(num_classes);
            let state = config.init(&Device::flex()).state_dict();
            assert_eq!(state.check_against(&config.parameter_shapes()), Ok(()));
        }
    }
}
