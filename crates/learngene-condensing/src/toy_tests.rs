//! A family that no other crate knows of is described here, and condensed as any other.

use learngene_checkpoints::Checkpoint;
use learngene_clustering::FfnParams;
use learngene_format::RepresentativePolicy;
use learngene_shape::{
    Axis, Family, ImageShape, LayerShape, Parameter, Part, Place, Preset, Reshape, Vit,
    select_heads,
};
use learngene_tensors::Result;
use serde::{Deserialize, Serialize};

use crate::{
    test_ancestor::{condensed, dbscan, scattered},
    verify,
};

/// The layers of a ViT behind a stem of one matrix and its norm, without class token and positions;
/// the classifier is called `readout`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Toy {
    inner: Vit,
}

impl Family for Toy {
    const KEY: &'static str = "toy";
    const PRESETS: &'static [Preset<Self>] = &[];

    fn check(&self) -> Result<()> {
        self.inner.check()
    }

    fn image(&self) -> ImageShape {
        self.inner.image()
    }

    fn num_classes(&self) -> usize {
        self.inner.num_classes()
    }

    fn layers(&self) -> Vec<LayerShape> {
        let mut layers = self.inner.layers();
        layers.iter_mut().for_each(|layer| layer.field.prefix = 0);
        layers
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = self.inner.parameters();
        parameters.retain(|parameter| parameter.place != Place::Stem);
        for parameter in &mut parameters {
            if parameter.place == Place::Classifier {
                parameter.name = parameter.name.replace("head", "readout");
            }
        }
        let stream = Axis::Stream { stage: 0, width: self.inner.embed_dim };
        let pixels = Axis::Fixed(3 * self.inner.patch_size.pow(2));
        let norm = parameters.iter().find(|parameter| parameter.place == Place::FinalNorm);
        let norm = norm.expect("a ViT has a final norm").clone();
        let stem = |name: &str, axes: &[Axis]| Parameter {
            name: name.into(),
            place: Place::Stem,
            axes: axes.to_vec(),
            ..norm.clone()
        };
        let stem = [stem("pixels.matrix", &[stream, pixels]), stem("pixels.scale", &[stream])];
        stem.into_iter().chain(parameters).collect()
    }

    fn reshaped(&self, to: &Reshape) -> Result<Self> {
        Ok(Self { inner: self.inner.reshaped(to)? })
    }
}

fn toy() -> Checkpoint {
    let vit = Vit::new(12, vec![4, 3, 2], 4, vec![20; 3]);
    let inner = Vit { image_size: 16, patch_size: 4, num_classes: 5, ..vit };
    scattered(Toy { inner }.shape().expect("possible"), 1)
}

#[test]
fn a_family_that_is_only_described_is_condensed_and_verified() {
    let ancestor = toy();
    let nearest = dbscan(10.0, RepresentativePolicy::Nearest);
    let learngene = condensed(&ancestor, nearest, FfnParams::given(vec![vec![0, 1]]));
    let manifest = learngene.manifest();
    assert_eq!(manifest.shape.num_heads(), [3, 2, 1]);
    let heads = &manifest.clusters.heads.layers;
    for parameter in ancestor.shape.parameters() {
        let source = ancestor.parameters.get(&parameter.name).expect("the ancestor's own");
        let want = match parameter.place {
            // The norm before a shared FFN is that of the layer whose FFN it is.
            Place::Layer { part: Part::Norm2, .. } => continue,
            _ if !manifest.stores(&parameter) => None,
            Place::Layer { layer, .. } if parameter.head_axis().is_some() => {
                Some(select_heads(&parameter, source, &heads[layer].representatives))
            }
            _ => Some(source.clone()),
        };
        let kept = learngene.tensors().get(&parameter.name);
        assert_eq!(kept, want.as_ref(), "{}", parameter.name);
    }
    let names: Vec<_> = learngene.tensors().names().collect();
    assert!(["pixels.matrix", "pixels.scale", "readout.bias"].iter().all(|n| names.contains(n)));
    assert!(verify(&learngene, &ancestor).expect("of the same shape").is_verified());
}
