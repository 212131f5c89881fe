//! Which parameters learn at which rate, and which of them decay.
//!
//! Source: layer-wise decay of the learning rate as in BEiT, <https://arxiv.org/abs/2106.08254>; groups
//! and exemptions as timm's `param_groups_layer_decay` makes them.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};

/// Parameters that are optimised alike.
#[derive(Debug, PartialEq)]
pub(crate) struct AdamWGroup {
    /// What the learning rate is multiplied by.
    pub(crate) rate_scale: f64,
    /// Whether weights decay: vectors (biases, norms), positions and the class token do not.
    pub(crate) decays: bool,
    pub(crate) paths: Vec<String>,
}

/// Every parameter in one group. The classifier learns at the full rate, each layer before it at
/// `layer_decay` times the rate of the next, patches and positions at the lowest.
pub(crate) fn parameter_groups<M: Module>(model: &M, layer_decay: f64) -> Vec<AdamWGroup> {
    let mut visitor = Parameters { path: Vec::new(), found: Vec::new() };
    model.visit(&mut visitor);
    let mut layers: Vec<Place> = visitor.found.iter().map(|parameter| parameter.place).collect();
    layers.retain(|place| *place != Place::FinalNorm);
    layers.sort_unstable();
    layers.dedup();
    // The last norm lies behind all layers and belongs to the last of them.
    let layer = |place| match place {
        Place::FinalNorm => layers.partition_point(|layer| *layer < place).saturating_sub(1),
        place => layers.partition_point(|layer| *layer < place),
    };
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for Parameter { path, place, decays } in visitor.found {
        // One rate for all makes two groups, however many layers there are.
        let before_last = layers.len().saturating_sub(1 + layer(place));
        let steps = if layer_decay == 1.0 { 0 } else { before_last };
        groups.entry((steps, decays)).or_default().push(path);
    }
    let group = |((steps, decays), paths)| AdamWGroup {
        rate_scale: layer_decay.powi(steps as i32),
        decays,
        paths,
    };
    groups.into_iter().map(group).collect()
}

/// Where a parameter lies between the images and the logits, in that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Patches, positions, class token.
    Stem,
    /// A layer; a ViT's are all of one stage. What merges patches belongs to the layer after it.
    Layer {
        stage: usize,
        block: usize,
    },
    FinalNorm,
    Head,
}

impl Place {
    fn of(path: &[String]) -> Self {
        let has = |name: &str| path.iter().any(|segment| segment == name);
        let after = |name: &str| -> Option<usize> {
            let at = path.iter().position(|segment| segment == name)?;
            path.get(at + 1)?.parse().ok()
        };
        match (after("layers"), after("blocks")) {
            (stage, Some(block)) => Self::Layer { stage: stage.unwrap_or(0), block },
            (Some(stage), None) => Self::Layer { stage, block: 0 },
            _ if has("patch_embed") || has("pos_embed") || has("cls_token") => Self::Stem,
            _ if has("norm") => Self::FinalNorm,
            _ => Self::Head,
        }
    }
}

struct Parameter {
    path: String,
    place: Place,
    decays: bool,
}

struct Parameters {
    path: Vec<String>,
    found: Vec<Parameter>,
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        let name = self.path.last().map(String::as_str);
        let exempt =
            matches!(name, Some("pos_embed" | "cls_token" | "relative_position_bias_table"));
        self.found.push(Parameter {
            path: self.path.join("."),
            place: Place::of(&self.path),
            decays: D > 1 && !exempt,
        });
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use learngene_models::{SwinConfig, VitConfig};
    use serde::Deserialize;

    use super::*;

    /// What timm gives a parameter.
    #[derive(Debug, Deserialize, PartialEq)]
    struct Timm {
        name: String,
        lr_scale: f64,
        weight_decay: f64,
    }

    /// timm's names of parameters that are called otherwise here.
    fn timm_name(path: &str) -> String {
        path.replace(".gamma", ".weight").replace(".beta", ".bias")
    }

    /// Groups are those that timm made, see `fixtures/make_timm.py`.
    fn check_timm(model: &impl Module, timm: &str, layer_decay: f64, weight_decay: f64) {
        let timm: Vec<Timm> = serde_json::from_str(timm).expect("the fixture is a list");
        let groups = parameter_groups(model, layer_decay);
        let found = |name: &str| {
            groups.iter().find(|group| group.paths.iter().any(|path| timm_name(path) == name))
        };
        assert_eq!(timm.len(), groups.iter().map(|group| group.paths.len()).sum::<usize>());
        for Timm { name, lr_scale, weight_decay: wanted } in timm {
            let group = found(&name).unwrap_or_else(|| panic!("no parameter {name}"));
            assert!((group.rate_scale - lr_scale).abs() < 1e-6, "{name}: {group:?}");
            assert_eq!(if group.decays { weight_decay } else { 0.0 }, wanted, "{name}");
        }
    }

    #[test]
    fn groups_of_a_vit_are_those_of_timm() {
        let vit = VitConfig::uniform(8, 3, 2).with_image_size(8).with_patch_size(4);
        let vit = vit.with_num_classes(5).init(&Device::flex());
        check_timm(&vit, include_str!("../fixtures/vit_groups.json"), 0.75, 0.05);
    }

    #[test]
    fn groups_of_a_swin_are_those_of_timm() {
        let swin = SwinConfig::uniform(8, &[2, 2], &[1, 2]).with_window_size(4);
        let swin =
            swin.with_image_size(16).with_patch_size(2).with_num_classes(5).init(&Device::flex());
        check_timm(&swin, include_str!("../fixtures/swin_groups.json"), 0.75, 0.05);
    }

    #[test]
    fn one_rate_makes_two_groups() {
        let vit = VitConfig::uniform(8, 3, 2).with_image_size(8).with_patch_size(4);
        let groups = parameter_groups(&vit.init(&Device::flex()), 1.0);
        let kinds: Vec<_> = groups.iter().map(|group| (group.rate_scale, group.decays)).collect();
        assert_eq!(kinds, [(1.0, false), (1.0, true)]);
    }
}
