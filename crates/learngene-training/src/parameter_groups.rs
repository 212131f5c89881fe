//! Which parameters learn at which rate, and which of them decay.
//!
//! Source: layer-wise decay of the learning rate as in BEiT, <https://arxiv.org/abs/2106.08254>; groups
//! and exemptions as timm's `param_groups_layer_decay` makes them.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use learngene_shape::Shape;

/// Parameters that are optimised alike.
#[derive(Debug, PartialEq)]
pub(crate) struct AdamWGroup {
    /// Factor of the learning rate.
    pub(crate) lr_scale: f64,
    /// Whether weights decay.
    pub(crate) decays: bool,
    /// burn's paths of the parameters.
    pub(crate) paths: Vec<String>,
}

/// Puts every parameter of a module into one group.
///
/// The classifier learns at the full rate, each layer before it at `layer_decay` times the rate of the
/// next, and patches and positions at the lowest. Decay follows from the shape's parameters, which a
/// module's are matched with by name. What a wrapped model learns beside them, such as parameter
/// transformations, has the classifier's rate and decays where it has more than one axis.
pub(crate) fn parameter_groups<M: Module>(
    module: &M,
    shape: &Shape,
    layer_decay: f64,
) -> Vec<AdamWGroup> {
    let known = shape.parameters().into_iter();
    let known = known.map(|p| (p.name, (shape.place_depth(p.place), p.decays))).collect();
    let mut find = Find { known, behind: shape.depth() + 1, path: Vec::new(), found: Vec::new() };
    module.visit(&mut find);
    let last = find.found.iter().map(|found| found.depth).max().unwrap_or(0);
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for Found { path, depth, decays } in find.found {
        // One rate for all makes two groups, however many layers there are.
        let steps = if layer_decay == 1.0 { 0 } else { last - depth };
        groups.entry((steps, decays)).or_default().push(path);
    }
    let group = |((steps, decays), paths)| AdamWGroup {
        lr_scale: layer_decay.powi(steps as i32),
        decays,
        paths,
    };
    groups.into_iter().map(group).collect()
}

struct Found {
    path: String,
    /// As [`Shape::place_depth`].
    depth: usize,
    decays: bool,
}

/// Visits a module and looks up each of its parameters.
struct Find {
    /// Depth and decay by timm's name.
    known: BTreeMap<String, (usize, bool)>,
    /// The classifier's depth.
    behind: usize,
    /// Names of the modules being visited, and whether each is the variant of an enum.
    path: Vec<(String, bool)>,
    found: Vec<Found>,
}

impl Find {
    /// timm's name of the parameter being visited, whose model may be the field `model` of a wrapper.
    fn timm_name(&self) -> String {
        let fields = self.path.iter().filter(|(_, is_variant)| !is_variant);
        let fields = fields.map(|(name, _)| name.as_str()).skip_while(|name| *name == "model");
        let fields = fields.map(|name| match name {
            "gamma" => "weight",
            "beta" => "bias",
            name => name,
        });
        fields.collect::<Vec<_>>().join(".")
    }
}

impl ModuleVisitor for Find {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push((name.to_owned(), container_type.starts_with("Enum:")));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        let known = self.known.get(&self.timm_name());
        let (depth, decays) = known.copied().unwrap_or((self.behind, D > 1));
        let path = self.path.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".");
        self.found.push(Found { path, depth, decays });
    }
}

#[cfg(test)]
mod tests {
    use burn::{nn, tensor::Device};
    use learngene_models::Model;
    use learngene_shape::{Family, Swin, Vit};
    use serde::Deserialize;

    use super::*;

    /// What timm gives a parameter.
    #[derive(Debug, Deserialize, PartialEq)]
    struct Timm {
        name: String,
        lr_scale: f64,
        weight_decay: f64,
    }

    fn vit() -> Shape {
        let vit = Vit { image_size: 8, patch_size: 4, num_classes: 5, ..Vit::uniform(8, 3, 2) };
        vit.shape().expect("a possible shape")
    }

    /// Groups are those that timm made, see `fixtures/make_timm.py`.
    fn check_timm(shape: &Shape, timm: &str) {
        let timm: Vec<Timm> = serde_json::from_str(timm).expect("the fixture is a list");
        let groups = parameter_groups(&Model::init(shape, &Device::flex()), shape, 0.75);
        let norm_names = |path: &str| path.replace(".gamma", ".weight").replace(".beta", ".bias");
        let has =
            |path: &str, name: &str| norm_names(path).split_once('.').is_some_and(|p| p.1 == name);
        assert_eq!(timm.len(), groups.iter().map(|group| group.paths.len()).sum::<usize>());
        for Timm { name, lr_scale, weight_decay } in timm {
            let group = groups.iter().find(|group| group.paths.iter().any(|path| has(path, &name)));
            let group = group.unwrap_or_else(|| panic!("no parameter {name}"));
            assert!((group.lr_scale - lr_scale).abs() < 1e-6, "{name}: {group:?}");
            assert_eq!(if group.decays { 0.05 } else { 0.0 }, weight_decay, "{name}");
        }
    }

    #[test]
    fn groups_are_those_of_timm() {
        check_timm(&vit(), include_str!("../fixtures/vit_groups.json"));
        let swin = Swin::uniform(8, &[2, 2], &[1, 2]);
        let swin = Swin { image_size: 16, patch_size: 2, window_size: 4, num_classes: 5, ..swin };
        let swin = swin.shape().expect("a possible shape");
        check_timm(&swin, include_str!("../fixtures/swin_groups.json"));
    }

    #[test]
    fn one_rate_makes_two_groups() {
        let groups = parameter_groups(&Model::init(&vit(), &Device::flex()), &vit(), 1.0);
        let kinds: Vec<_> = groups.iter().map(|group| (group.lr_scale, group.decays)).collect();
        assert_eq!(kinds, [(1.0, false), (1.0, true)]);
    }

    /// A model with something beside it.
    #[derive(Module, Debug)]
    struct Wrapper {
        model: Model,
        extra: nn::Linear,
    }

    #[test]
    fn what_is_learnt_beside_a_model_has_the_rate_of_its_classifier() {
        let device = Device::flex();
        let extra = nn::LinearConfig::new(2, 2).init(&device);
        let wrapper = Wrapper { model: Model::init(&vit(), &device), extra };
        let groups = parameter_groups(&wrapper, &vit(), 0.75);
        let of = |end: &str| {
            let has = |group: &&AdamWGroup| group.paths.iter().any(|path| path.ends_with(end));
            groups.iter().find(has).map(|group| (group.lr_scale, group.decays))
        };
        assert_eq!(of("head.weight"), Some((1.0, true)));
        assert_eq!(of("extra.weight"), Some((1.0, true)));
        assert_eq!(of("extra.bias"), Some((1.0, false)));
        assert_eq!(of("blocks.2.mlp.fc1.weight"), Some((0.75, true)));
    }
}
