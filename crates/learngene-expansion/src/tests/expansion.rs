//! Which part of a learngene comes where in a descendant.

use learngene_format::Learngene;
use learngene_shape::{Family, Vit};
use learngene_tensors::{Dtype, StateDict};
use ndarray::{Array1, Array2, s};

use super::support::{
    Condensing, check_heads, config, expanded, heads_of, inherit_all, random_parameters, tiny,
    tiny_swin, tiny_vit, whole,
};
use crate::{DescendantConfig, HeadPolicy, LayerPolicy, Order, ProjectionPolicy};

fn joined() -> (StateDict, Learngene) {
    let parameters = random_parameters(&tiny());
    let learngene = Condensing::joined().condense(&tiny(), &parameters);
    (parameters, learngene)
}

fn five_heads(projection: Option<ProjectionPolicy>) -> DescendantConfig {
    DescendantConfig { heads: HeadPolicy::Count(5), projection, ..Default::default() }
}

#[test]
fn with_nothing_joined_the_descendant_is_the_ancestor() {
    for ancestor in [tiny(), tiny_swin()] {
        let (parameters, learngene) = whole(&ancestor);
        for projection in [None, Some(ProjectionPolicy::Centroid), Some(ProjectionPolicy::Origin)] {
            let config = DescendantConfig { projection, order: Order::Origin, ..inherit_all() };
            let descendant = expanded(&learngene, &config);
            assert_eq!(descendant.shape, ancestor);
            assert_eq!(descendant.parameters, parameters);
            assert_eq!(descendant.inherited_parameters, ancestor.count_parameters());
        }
    }
}

#[test]
fn heads_come_from_the_centroids_in_turn() {
    let (parameters, learngene) = joined();
    let descendant = expanded(&learngene, &five_heads(None));
    assert_eq!(heads_of(&descendant, 0), [2, 0, 2, 0, 2]);
    assert_eq!(heads_of(&descendant, 1), [3, 1, 2, 3, 1]);
    assert_eq!(heads_of(&descendant, 2), [1; 5]);
    check_heads(&descendant, &tiny(), &parameters);
}

#[test]
fn fewer_heads_than_centroids_take_the_first_in_order() {
    let (_, learngene) = joined();
    // Distances of layer 1, head by head: 12, 0, 8, 16.
    for (order, heads) in [
        (Order::Priority, [3, 1]),
        (Order::Origin, [1, 2]),
        (Order::Increasing, [1, 2]),
        (Order::Decreasing, [3, 2]),
    ] {
        let config = DescendantConfig { order, heads: HeadPolicy::Count(2), ..Default::default() };
        assert_eq!(heads_of(&expanded(&learngene, &config), 1), heads, "{order}");
    }
}

#[test]
fn origin_leaves_columns_where_they_were() {
    let (parameters, learngene) = joined();
    let descendant = expanded(&learngene, &five_heads(Some(ProjectionPolicy::Origin)));
    let columns = descendant.slots.iter().map(|slots| slots.iter().map(|s| s.projection_head));
    let columns: Vec<Vec<usize>> = columns.map(Iterator::collect).collect();
    assert_eq!(columns, [[0, 1, 2, 0, 1], [0, 1, 2, 3, 0], [0, 1, 0, 1, 0]]);
    check_heads(&descendant, &tiny(), &parameters);
}

#[test]
fn rescaled_weighs_columns_by_cluster_and_copies() {
    let (parameters, learngene) = joined();
    let descendant = expanded(&learngene, &five_heads(Some(ProjectionPolicy::Rescaled)));
    let scales: Vec<f32> = descendant.slots[0].iter().map(|slot| slot.projection_scale).collect();
    // Three copies stand for two heads, two copies for one.
    let (two, one) = (2f32.sqrt() / 3.0, 0.5);
    assert_eq!(scales, [two, one, two, one, two]);
    check_heads(&descendant, &tiny(), &parameters);
}

/// Each head of a Swin's descendant, whatever their number, brings its own biases of relative
/// positions.
#[test]
fn relative_positions_follow_their_heads() {
    let (parameters, learngene) = whole(&tiny_swin());
    for heads in ["2", "x1", "x2", "x8"] {
        let heads = heads.parse().expect("a head policy");
        let descendant = expanded(&learngene, &DescendantConfig { heads, ..Default::default() });
        check_heads(&descendant, &tiny_swin(), &parameters);
    }
}

#[test]
fn layers_bring_their_norms_and_ffns() {
    let (parameters, learngene) = joined();
    let layers = LayerPolicy::List(vec![2, 1, 1, 0]);
    let descendant = expanded(&learngene, &DescendantConfig { layers, ..Default::default() });
    assert_eq!(descendant.layers, [2, 1, 1, 0].map(Some));
    assert_eq!(descendant.ffn, [2, 0, 0, 0]);
    assert_eq!(descendant.shape.num_heads(), [2, 4, 4, 3]);
    let same = |to: String, from: String| {
        assert_eq!(descendant.parameters.get(&to), parameters.get(&from), "{to}");
    };
    for (layer, (source, group)) in [(2, 2), (1, 0), (1, 0), (0, 0)].into_iter().enumerate() {
        for name in ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "attn.proj.bias"] {
            same(format!("blocks.{layer}.{name}"), format!("blocks.{source}.{name}"));
        }
        for name in ["mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias"] {
            same(format!("blocks.{layer}.{name}"), format!("blocks.{group}.{name}"));
        }
    }
    for name in ["cls_token", "pos_embed", "patch_embed.proj.weight", "norm.weight", "norm.bias"] {
        same(name.into(), name.into());
    }
}

/// What the tensors of the format say that a matrix is for its first inputs, by the normal equations.
fn of_first(learngene: &Learngene, module: &str, inputs: usize) -> [Vec<f32>; 2] {
    let values = |name: &str| {
        let tensor = learngene.tensors().get(&format!("{module}.{name}")).expect(name);
        tensor.values.iter().copied().map(f64::from).collect::<Vec<f64>>()
    };
    let (weight, bias, packed) = (values("weight"), values("bias"), values("factor"));
    let (means, all) = (values("means"), weight.len() / bias.len());
    let factor = |row: usize, column: usize| packed[row * (row + 1) / 2 + column];
    let covariance = Array2::from_shape_fn((all, all), |(a, b)| {
        (0..=a.min(b)).map(|k| factor(a, k) * factor(b, k)).sum::<f64>()
    });
    let weight = Array2::from_shape_vec((bias.len(), all), weight).expect("as many values");
    let right = covariance.dot(&weight.t());
    let leading = covariance.slice(s![..inputs, ..inputs]).to_owned();
    let solved = learngene_least_squares::Cholesky::of(leading).expect("positive definite");
    let solved = solved.solve(right.slice(s![..inputs, ..]).to_owned());
    let means = Array1::from_vec(means);
    let change = weight.dot(&means) - solved.t().dot(&means.slice(s![..inputs]));
    let bias = Array1::from_vec(bias) + change;
    [solved.t().iter().map(|v| *v as f32).collect(), bias.iter().map(|v| *v as f32).collect()]
}

/// Where fewer heads or hidden units are asked for than a fitted learngene holds, their matrices are
/// those for the first ones.
#[test]
fn fewer_heads_and_units_get_matrices_fitted_for_them() {
    let parameters = random_parameters(&tiny());
    let learngene =
        Condensing { refit: true, ..Condensing::joined() }.condense(&tiny(), &parameters);
    let check = |config: &DescendantConfig, module: &str, inputs: usize, expected: bool| {
        let found = expanded(&learngene, config).parameters;
        let fitted = of_first(&learngene, module, inputs);
        for (name, fitted) in ["weight", "bias"].iter().zip(fitted) {
            let found = &found.get(&format!("{module}.{name}")).expect(name).values;
            let largest = fitted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let is_equal = found.len() == fitted.len()
                && found.iter().zip(&fitted).all(|(a, b)| (a - b).abs() < 1e-4 * largest);
            assert_eq!(is_equal, expected, "{module}.{name}");
        }
    };
    let one = DescendantConfig { heads: HeadPolicy::Count(1), ..Default::default() };
    check(&one, "blocks.1.attn.proj", 8, true);
    check(&DescendantConfig { order: Order::Increasing, ..one }, "blocks.1.attn.proj", 8, false);
    check(&five_heads(None), "blocks.1.attn.proj", 8, false);
    let narrow = DescendantConfig { hidden_dim: Some(vec![9, 40, 1]), ..Default::default() };
    check(&narrow, "blocks.0.mlp.fc2", 9, true);
    check(&narrow, "blocks.2.mlp.fc2", 1, true);
    let narrow = expanded(&learngene, &narrow).parameters;
    let first = narrow.get("blocks.0.mlp.fc1.weight").expect("an FFN");
    let whole = parameters.get("blocks.0.mlp.fc1.weight").expect("an FFN");
    assert_eq!((&*first.shape, &first.values[..]), (&[9, 24][..], &whole.values[..9 * 24]));
}

#[test]
fn positions_follow_the_image_size() {
    let (_, learngene) = whole(&tiny());
    let config = DescendantConfig { image_size: Some(24), ..Default::default() };
    let descendant = expanded(&learngene, &config);
    let positions = descendant.parameters.get("pos_embed").expect("every ViT has positions");
    assert_eq!(positions.shape, [1, 1 + 6 * 6, 24]);
}

#[test]
fn the_classifier_is_fresh_unless_asked_for() {
    let (parameters, learngene) = whole(&tiny());
    let head = |json: &str| expanded(&learngene, &config(json)).parameters.remove("head.weight");
    let (ancestor, fresh) = (parameters.get("head.weight").cloned(), head("{}"));
    assert_eq!(head(r#"{"classifier":"inherit"}"#), ancestor);
    assert_ne!(fresh, ancestor);
    assert_eq!(fresh, head("{}"));
    assert_ne!(fresh, head(r#"{"seed":1}"#));
    assert_eq!(head(r#"{"num_classes":7}"#).map(|weight| weight.shape), Some(vec![7, 24]));
    assert_eq!(head(r#"{"num_classes":0}"#), None);
}

#[test]
fn whatever_is_inherited_counts_once() {
    let (_, learngene) = whole(&tiny());
    let inherited = |json: &str| expanded(&learngene, &config(json)).inherited_parameters;
    let all = tiny().count_parameters();
    // Twice as deep, four times as many heads, but made of the same parts.
    let doubled = r#"{"depth":"6","layers":"even","heads":"x4","classifier":"inherit"}"#;
    assert_eq!(inherited(doubled), all);
    // A fresh classifier is not inherited, nor are layers and heads left out.
    assert_eq!(inherited("{}"), all - (24 * 5 + 5));
    let (num_heads, hidden_dim) = (vec![2; 2], vec![40; 2]);
    let shallow = Vit { num_heads, hidden_dim, num_classes: 0, ..tiny_vit() };
    let shallow = shallow.shape().expect("possible").count_parameters();
    assert_eq!(inherited(r#"{"depth":"2","heads":"2","num_classes":0}"#), shallow);
}

#[test]
fn half_precision_is_read_exactly() {
    for dtype in [Dtype::F16, Dtype::BF16] {
        let condensing = Condensing { dtype, ..Condensing::nothing_joined(&tiny()) };
        let mut parameters = random_parameters(&tiny());
        let learngene = condensing.condense(&tiny(), &parameters);
        parameters
            .iter_mut()
            .for_each(|(_, t)| t.values = dtype.round(std::mem::take(&mut t.values)));
        assert_eq!(expanded(&learngene, &inherit_all()).parameters, parameters);
    }
}

/// Written anew where the environment variable `UPDATE` is set.
#[test]
fn the_file_of_the_crate_s_example_is_what_the_format_writes() {
    let vit = Vit { image_size: 8, patch_size: 4, num_classes: 2, ..Vit::uniform(6, 2, 3) };
    let shape = Vit { num_heads: vec![3, 2], hidden_dim: vec![8, 8], ..vit };
    let shape = shape.shape().expect("possible");
    let labels = vec![vec![Some(0), Some(1), Some(0)], vec![Some(0), Some(1)]];
    let condensing = Condensing { labels, ..Condensing::nothing_joined(&shape) };
    let bytes = condensing.condense(&shape, &random_parameters(&shape)).to_bytes();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write("tests/data/tiny.learngene", &bytes).expect("the crate's own folder");
    }
    let kept = std::fs::read("tests/data/tiny.learngene").expect("the crate's own folder");
    assert!(kept == bytes, "other bytes; written anew where UPDATE is set");
}
