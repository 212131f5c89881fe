//! The table of scales: from half the depth to half as deep again, from a quarter of the heads to
//! eight times as many. What makes whole layers and heads is built, runs, learns and comes back from
//! its file; everything else is refused by name.

use std::path::Path;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor},
};
use learngene_checkpoints::{Checkpoint, Dialect, ReadOptions, read, write};
use learngene_expansion::{Descendant, DescendantConfig, expand};
use learngene_models::Classifier;
use learngene_shape::Shape;
use learngene_tensors::Dtype;
use learngene_tests::{golden, repository};

use crate::support::{GOLDEN_VITS, condensed, folder, images, load, measure, values};

/// Ratios as numerator and denominator.
const DEPTHS: [(usize, usize); 4] = [(1, 2), (3, 4), (1, 1), (3, 2)];
const HEAD_RATIOS: [(usize, usize); 6] = [(4, 1), (2, 1), (4, 3), (1, 1), (1, 2), (1, 8)];

#[test]
fn golden_vits_at_every_scale() {
    for golden in GOLDEN_VITS {
        check(&format!("{golden:?}"), &golden.read());
    }
}

#[test]
fn golden_swin_at_every_scale() {
    let path = golden("swin_tiny_golden").join("timm.safetensors");
    let options = ReadOptions { image_size: Some(32), ..ReadOptions::default() };
    check("golden Swin", &read(&path, &options).expect("the fixture is a checkpoint"));
}

#[test]
fn desk_ancestor_at_every_scale() {
    let path = repository().join("datasets/desk_ancestor/desk_ancestor.safetensors");
    check("desk ViT", &read(&path, &ReadOptions::default()).expect("it is shipped"));
}

#[test]
fn desk_swin_at_every_scale() {
    let path = repository().join("datasets/desk_swin/desk_swin.safetensors");
    check("desk Swin", &read(&path, &ReadOptions::default()).expect("it is shipped"));
}

/// Goes through the table, with about half of the heads joined.
fn check(name: &str, ancestor: &Checkpoint) {
    let distances = measure(ancestor, 8, 8);
    let learngene = condensed(ancestor, &distances, 0.3);
    let folder = folder();
    let mut built = 0;
    for depth in DEPTHS {
        for ratio in HEAD_RATIOS {
            let config = DescendantConfig {
                depth: format!("x{}/{}", depth.0, depth.1).parse().expect("a depth"),
                heads: format!("x{}/{}", ratio.1, ratio.0).parse().expect("a ratio"),
                ..DescendantConfig::default()
            };
            let place = format!("{name}, depth x{}, w = {}", config.depth, config.heads);
            match (counts(&ancestor.shape, depth, ratio), expand(&learngene, &config)) {
                (Some(num_heads), Ok(descendant)) => {
                    assert_eq!(descendant.shape.num_heads(), num_heads, "{place}");
                    check_descendant(&place, &descendant, folder.path());
                    built += 1;
                }
                (None, Err(error)) => {
                    let message = error.to_string();
                    assert!(message.contains("layer"), "{place}: {message}");
                    println!("{place}: {message}");
                }
                (Some(_), Err(error)) => panic!("{place}: {error}"),
                (None, Ok(_)) => panic!("{place} was not refused"),
            }
        }
    }
    println!("{name}: {built} of {} built", DEPTHS.len() * HEAD_RATIOS.len());
}

/// Heads of each layer where depths and heads come out whole; layers from the front of each stage,
/// its last one repeated.
fn counts(
    ancestor: &Shape,
    (times, over): (usize, usize),
    (more, fewer): (usize, usize),
) -> Option<Vec<usize>> {
    let num_heads = ancestor.num_heads();
    let mut counts = Vec::new();
    for stage in ancestor.stages() {
        let depth = stage.len() * times;
        if !depth.is_multiple_of(over) {
            return None;
        }
        for block in 0..depth / over {
            let heads = num_heads[stage.start + block.min(stage.len() - 1)] * fewer;
            if !heads.is_multiple_of(more) {
                return None;
            }
            counts.push(heads / more);
        }
    }
    Some(counts)
}

/// Builds, runs, learns, and comes back from its file.
fn check_descendant(place: &str, descendant: &Descendant, folder: &Path) {
    let Descendant { shape, parameters, .. } = descendant;
    let device = Device::flex().autodiff();
    let model = load(shape, parameters, &device);
    let logits = model.forward(images(1, shape.image().size, &device));
    let loss = logits.clone().powi_scalar(2).mean();
    assert!(values(logits.inner()).iter().all(|value| value.is_finite()), "{place}: logits");
    let mut finite = Finite { gradients: loss.backward(), found: 0, place };
    model.visit(&mut finite);
    assert_eq!(finite.found, parameters.iter().count(), "{place}: every parameter learns");

    let path = folder.join("descendant.safetensors");
    let _absent = std::fs::remove_file(folder.join("config.json"));
    write(&path, shape, parameters, Dialect::Timm, Dtype::F32, None)
        .expect("a temporary folder is writable");
    let back = read(&path, &ReadOptions::default()).expect("just written");
    assert_eq!(back.shape, *shape, "{place}");
    assert_eq!(back.parameters, *parameters, "{place}");
}

/// Looks at every parameter's gradient.
struct Finite<'a> {
    gradients: Gradients,
    found: usize,
    place: &'a str,
}

impl ModuleVisitor for Finite<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = parameter.val().grad(&self.gradients).expect("every parameter is used");
        assert!(values(gradient).iter().all(|value| value.is_finite()), "{}", self.place);
        self.found += 1;
    }
}
