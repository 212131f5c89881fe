//! What every model must keep to, whatever its family.

use burn::tensor::{Device, Distribution, Tensor};
use learngene_models::{Classifier, Forward, Model, Pool, load_into, state_dict};
use learngene_shape::{
    Family, FfnKind, ImageShape, LayerShape, Parameter, Preset, Reshape, Shape, Swin, Vit,
};
use learngene_tensors::{Error, StateDict};
use serde::{Deserialize, Serialize};

/// Layers differ in heads and hidden widths, and heads are fewer or more than fill the width, so that
/// no two axes are mistaken for each other.
fn shapes() -> Vec<Shape> {
    let vit = |ffn, num_classes| {
        let vit = Vit::new(24, vec![3, 1, 2], 8, vec![40, 33, 20]);
        Vit { ffn, image_size: 16, patch_size: 4, num_classes, ..vit }.shape()
    };
    // Windows of 2 in 8 x 8 tokens, whole and shifted, then in 4 x 4, then the image itself.
    let swin = |num_classes| {
        let swin = Swin {
            image_size: 32,
            patch_size: 4,
            window_size: 2,
            in_channels: 3,
            embed_dim: 16,
            depths: vec![2, 2, 1],
            num_heads: vec![2, 1, 4, 3, 5],
            head_dim: vec![8, 8, 4],
            hidden_dim: vec![40, 30, 56, 12, 9],
            num_classes,
            layer_norm_eps: 1e-5,
        };
        swin.shape()
    };
    let all =
        [vit(FfnKind::Mlp, 5), vit(FfnKind::SwiGlu, 5), vit(FfnKind::Mlp, 0), swin(5), swin(0)];
    all.into_iter().map(|shape| shape.expect("possible")).collect()
}

/// A model on a device, and two images.
fn model(shape: &Shape) -> (Model, Tensor<4>) {
    let device = Device::flex();
    let size = shape.image().size;
    let images = Tensor::random([2, 3, size, size], Distribution::Normal(0.0, 1.0), &device);
    (Model::init(shape, &device), images)
}

fn check_equal<const D: usize>(what: &str, found: Tensor<D>, expected: Tensor<D>) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let worst: f32 = (found - expected).abs().max().into_scalar();
    assert!(worst < 1e-5, "{what} differs by {worst}");
}

/// Tokens after the attention of a layer, put together from its parts.
fn attended(model: &Model, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
    let tokens = model.layer_input(layer, tokens);
    model.project(layer, model.heads(layer, tokens.clone())) + tokens
}

#[test]
fn a_model_has_the_parameters_and_the_shape_that_it_was_made_of() {
    for shape in shapes() {
        let (model, _) = model(&shape);
        let parameters = model.state_dict();
        parameters.check_against(&shape.parameter_shapes()).expect("the list of the shape");
        assert_eq!(model.shape(), shape);
        let again = Model::load(&shape, &parameters, &Device::flex()).expect("its own");
        assert_eq!(again.state_dict(), parameters);
    }
}

/// A module that holds a model, as one that learns beside it does.
#[derive(burn::module::Module, Debug)]
struct Wrapper {
    model: Model,
}

#[test]
fn a_wrapped_model_has_the_same_names_after_the_wrappers() {
    for shape in shapes() {
        let wrapper = Wrapper { model: model(&shape).0 };
        let parameters = state_dict(&wrapper);
        let names = parameters.names().map(|name| name.strip_prefix("model.").map(String::from));
        let found: Option<Vec<String>> = names.collect();
        assert_eq!(found, Some(shape.parameter_shapes().into_keys().collect()));
        load_into(wrapper, parameters).expect("its own parameters");
    }
}

#[test]
fn parameters_of_another_model_are_refused_by_name() {
    let shape = &shapes()[0];
    let mut parameters = model(shape).0.state_dict();
    let norm = parameters.remove("norm.weight").expect("a ViT has one");
    parameters.insert("blocks.0.norm1.bias", norm.clone());
    parameters.insert("norm.scale", norm);
    let error = Model::load(shape, &parameters, &Device::flex()).expect_err("a missing norm");
    let error = error.to_string();
    assert!(error.ends_with("missing: norm.weight; unused: norm.scale"), "{error}");
}

/// A family that this crate cannot run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Other {}

impl Family for Other {
    const KEY: &'static str = "other";
    const PRESETS: &'static [Preset<Self>] = &[];
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
    fn image(&self) -> ImageShape {
        ImageShape { size: 1, patch_size: 1, channels: 1 }
    }
    fn num_classes(&self) -> usize {
        0
    }
    fn layers(&self) -> Vec<LayerShape> {
        Vec::new()
    }
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }
    fn reshaped(&self, _: &Reshape) -> Result<Self, Error> {
        Ok(Self {})
    }
}

#[test]
fn another_family_is_refused() {
    let shape = Other {}.shape().expect("unchecked");
    let error = Model::load(&shape, &StateDict::default(), &Device::flex()).expect_err("no ViT");
    assert_eq!(error.to_string(), "family: found other, expected vit or swin");
}

#[test]
fn a_layer_is_the_sum_of_its_parts() {
    for shape in shapes() {
        let (mut model, images) = model(&shape);
        let mut tokens = model.embed(images);
        for layer in 0..shape.depth() {
            let what = format!("{} layer {layer}", shape.family());
            let whole = model.forward_layer(layer, tokens.clone(), Forward::default());
            let attended = attended(&model, layer, tokens);
            let added = model.feed_forward(layer, attended.clone());
            tokens = added.clone() + attended.clone();
            // Of the last layer of a ViT the class token alone, which is what it is among all.
            let seq = whole.dims()[1];
            let is_class_token = shape.family() == "vit" && layer + 1 == shape.depth();
            assert_eq!(seq, if is_class_token { 1 } else { tokens.dims()[1] }, "{what}");
            check_equal(&what, whole, tokens.clone().slice_dim(1, 0..seq));

            let hidden = model.hidden(layer, attended);
            assert_eq!(hidden.dims()[2], shape.layer(layer).ffn.hidden_dim, "{what}");
            let fc2 = model.linears_mut(layer).fc2.clone();
            let bias = fc2.bias.expect("a linear layer has a bias").val();
            check_equal(
                &what,
                hidden.matmul(fc2.weight.val().unsqueeze()) + bias.unsqueeze(),
                added,
            );
        }
    }
}

#[test]
fn observed_attention_is_that_of_every_window_and_changes_nothing() {
    for shape in shapes() {
        let (model, images) = model(&shape);
        let output = model.forward_attention(images.clone());
        check_equal(shape.family(), output.logits, model.forward(images));
        for (layer, weights) in output.attention.into_iter().enumerate() {
            let of_layer = shape.layer(layer);
            let (field, heads) = (of_layer.field, of_layer.heads.num_heads);
            let dims = [2 * field.num_windows(), heads, field.keys(), field.keys()];
            assert_eq!(weights.dims(), dims, "{} layer {layer}", shape.family());
            let sums = weights.sum_dim(3);
            check_equal("a row of attention", sums.clone(), sums.ones_like());
        }
    }
}

#[test]
fn patch_features_are_the_mean_of_normed_patches() {
    for shape in shapes() {
        let (model, images) = model(&shape);
        let run = |tokens, layer| {
            let attended = attended(&model, layer, tokens);
            model.feed_forward(layer, attended.clone()) + attended
        };
        let tokens = (0..shape.depth()).fold(model.embed(images.clone()), run);
        let [_, seq, _] = tokens.dims();
        let prefix = shape.layer(0).field.prefix;
        // Pooling norms the first token of a ViT, or the mean of all of a Swin: one at a time, both
        // give that token.
        let each =
            (prefix..seq).map(|token| model.pool(tokens.clone().slice_dim(1, token..token + 1)));
        let mean = Tensor::<2>::stack::<3>(each.collect(), 0).mean_dim(0).squeeze_dim(0);
        check_equal(shape.family(), model.pooled_features(images, Pool::Avg), mean);
    }
}

#[test]
fn the_classifier_can_be_reached_where_there_is_one() {
    for shape in shapes() {
        let (mut model, images) = model(&shape);
        let dims = model.classifier_mut().map(|linear| linear.weight.dims());
        let classes = shape.num_classes();
        assert_eq!(dims, (classes > 0).then(|| [shape.num_features(), classes]));
        let width = if classes > 0 { classes } else { shape.num_features() };
        assert_eq!(model.forward(images).dims(), [2, width]);
    }
}

#[test]
#[should_panic(expected = "a forward pass needs at least one image, got none")]
fn a_batch_without_images_is_refused() {
    let (model, images) = model(&shapes()[0]);
    model.forward(images.slice_dim(0, 0..0));
}

#[test]
#[should_panic(expected = "axis 2 expected 16, got 12")]
fn images_of_another_size_are_refused() {
    let (model, images) = model(&shapes()[0]);
    model.forward(images.slice_dim(2, 0..12));
}

#[test]
#[should_panic(expected = "axis 1 expected 3, got 1")]
fn images_of_other_channels_are_refused() {
    let (model, images) = model(&shapes()[0]);
    model.forward(images.slice_dim(1, 0..1));
}
