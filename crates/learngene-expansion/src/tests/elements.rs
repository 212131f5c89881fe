//! Models of evenly chosen elements of the ancestor.

use learngene_shape::{Family, Shape, Vit};
use learngene_tensors::Tensor;

use super::support::{
    check_whole, config, inherit_all, random_parameters, tiny, tiny_swin, tiny_vit,
};
use crate::{Descendant, DescendantConfig, weight_selection};

fn select(ancestor: &Shape, config: &DescendantConfig) -> Descendant {
    let selected = weight_selection(&random_parameters(ancestor), ancestor, config);
    let selected = selected.expect("smaller in everything");
    check_whole(&selected);
    selected
}

/// Every second element along each axis that is half as long: the published choice.
fn check_every_second(ancestor: &Shape, found: &Descendant) {
    let parameters = random_parameters(ancestor);
    for (name, tensor) in found.parameters.iter().filter(|(name, _)| !name.starts_with("head.")) {
        let Tensor { shape: from, values } = parameters.get(name).expect("the same layers");
        for (index, value) in tensor.values.iter().enumerate() {
            let (mut rest, mut place, mut stride) = (index, 0, 1);
            for (to, from) in tensor.shape.iter().zip(from).rev() {
                let step = from / to;
                place += rest % to * step * stride;
                (rest, stride) = (rest / to, stride * from);
            }
            assert_eq!(value.to_bits(), values[place].to_bits(), "{name} at {index}");
        }
    }
}

#[test]
fn elements_are_the_published_ones_where_sizes_divide() {
    let vit = Vit { num_heads: vec![4, 4, 2], ..tiny_vit() }.shape().expect("possible");
    let found = select(&vit, &config(r#"{"depth":"2","heads":"2","embed_dim":12}"#));
    check_every_second(&vit, &found);
    assert_eq!(found.layers, [0, 1].map(Some));
    let found = select(&tiny_swin(), &config(r#"{"depth":"1,1","heads":"1","embed_dim":6}"#));
    check_every_second(&tiny_swin(), &found);
    assert_eq!(found.layers, [0, 2].map(Some));
}

/// Of 24 channels 12, of 3 and 4 heads one of width 8, of 40 hidden units 20, two layers.
#[test]
fn what_is_picked_counts() {
    let stem = (12 * 48 + 12) + 12 + 17 * 12 + 2 * 12;
    let layer = 4 * 12 + (3 * 8 * 13 + 12 * 8 + 12) + (20 * 13 + 12 * 21);
    let found = select(&tiny(), &config(r#"{"depth":"2","heads":"1","embed_dim":12}"#));
    assert_eq!(found.inherited_parameters, stem + 2 * layer);
    let whole = select(&tiny(), &inherit_all());
    assert_eq!(whole.parameters, random_parameters(&tiny()));
    assert_eq!(whole.inherited_parameters, tiny().count_parameters());
}

#[test]
fn any_smaller_model_is_whole() {
    let ratio = r#""heads":"2","mlp_ratio":"1","classifier":"inherit""#;
    select(&tiny(), &config(&format!(r#"{{"depth":"3","embed_dim":7,{ratio}}}"#)));
    select(&tiny_swin(), &config(&format!(r#"{{"depth":"2,1","embed_dim":5,{ratio}}}"#)));
    // Positions are interpolated, and count as many as were read.
    let small = config(r#"{"depth":"1","heads":"1","embed_dim":12}"#);
    let larger_image = DescendantConfig { image_size: Some(32), ..small.clone() };
    let found = select(&tiny(), &larger_image);
    assert_eq!(found.parameters.get("pos_embed").expect("positions").shape, [1, 65, 12]);
    assert_eq!(found.inherited_parameters, select(&tiny(), &small).inherited_parameters);
}
