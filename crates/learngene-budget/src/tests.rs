use learngene_format::{Curves, LayerCurves, Point};
use learngene_shape::{Family, LayerSizes, Shape, Vit};
use proptest::{collection::vec, prelude::*};

use crate::{Choice, choose, front};

/// Layers of three heads and eight hidden units.
fn shape(depth: usize) -> Shape {
    Vit::new(12, vec![3; depth], 4, vec![8; depth]).shape().expect("possible")
}

/// A curve that falls to 0, of these drops and the number that comes with each.
fn curve(drops: &[f64], step: usize) -> Vec<Point> {
    let error = |at: usize| drops[at + 1..].iter().sum();
    (0..drops.len()).map(|at| Point { kept: (at + 1) * step, error: error(at) }).collect()
}

fn curves(depth: usize) -> impl Strategy<Value = Curves> {
    let drops = |count| vec(0.0..1.0_f64, count);
    let layer = (drops(3), drops(4)).prop_map(|(heads, neurons)| LayerCurves {
        heads: curve(&heads, 1),
        neurons: curve(&neurons, 2),
    });
    let depths = vec(prop::option::of(0.0..1.0_f64), depth - 1);
    (depths, vec(layer, depth)).prop_map(|(mut depth, layers)| {
        depth.push(Some(0.0));
        Curves { depth, layers }
    })
}

/// All models of the curves' points.
fn all(curves: &Curves, shape: &Shape) -> Vec<Choice> {
    let mut sizes: Vec<Vec<LayerSizes>> = vec![vec![]];
    let mut all = Vec::new();
    for (layer, of_layer) in curves.layers.iter().enumerate() {
        let with = |sizes: &Vec<LayerSizes>| {
            let mut longer = Vec::new();
            for heads in &of_layer.heads {
                for neurons in &of_layer.neurons {
                    let one = LayerSizes { num_heads: heads.kept, hidden_dim: neurons.kept };
                    longer.push([&sizes[..], &[one]].concat());
                }
            }
            longer
        };
        sizes = sizes.iter().flat_map(with).collect();
        let Some(depth_error) = curves.depth[layer] else { continue };
        for sizes in &sizes {
            let lost = |points: &[Point], kept| {
                points.iter().find(|point| point.kept == kept).expect("a point").error
            };
            let error = sizes.iter().zip(&curves.layers).map(|(size, of)| {
                lost(&of.heads, size.num_heads) + lost(&of.neurons, size.hidden_dim)
            });
            let error = depth_error + (1.0 - depth_error).powi(2) * error.sum::<f64>();
            let choice = Choice { sizes: sizes.clone(), cost: 0, error };
            let cost = choice.shape(shape).expect("possible").count_parameters();
            all.push(Choice { cost, ..choice });
        }
    }
    all
}

proptest! {
    #[test]
    fn a_budget_is_kept_and_a_larger_one_loses_no_more(
        curves in curves(3), limits in vec(0.0..1.1_f64, 6),
    ) {
        let shape = shape(3);
        let whole = shape.count_parameters();
        let mut limits: Vec<u64> = limits.iter().map(|part| (part * whole as f64) as u64).collect();
        limits.sort_unstable();
        let mut least = f64::INFINITY;
        for limit in limits {
            let Ok(choice) = choose(&shape, &curves, limit, &Shape::count_parameters) else {
                prop_assert!(least.is_infinite(), "a smaller budget was enough");
                continue;
            };
            prop_assert!(choice.cost <= limit);
            let of_shape = choice.shape(&shape).expect("possible").count_parameters();
            prop_assert_eq!(choice.cost, of_shape);
            prop_assert!(choice.error <= least + 1e-12, "{} after {}", choice.error, least);
            least = choice.error;
        }
    }

    /// Up to one step, which is what a convex curve may waste.
    #[test]
    fn choices_are_the_best_up_to_one_step(curves in curves(2), part in 0.3..1.0_f64) {
        let shape = shape(2);
        let limit = (part * shape.count_parameters() as f64) as u64;
        let every = all(&curves, &shape);
        let fit = every.iter().filter(|choice| choice.cost <= limit);
        let best = fit.map(|choice| choice.error).fold(f64::INFINITY, f64::min);
        if let Ok(choice) = choose(&shape, &curves, limit, &Shape::count_parameters) {
            prop_assert!(choice.error >= best - 1e-12);
            let steps = curves.layers.iter().flat_map(|layer| [&layer.heads, &layer.neurons]);
            let largest = steps.map(|points| points[0].error).fold(0.0, f64::max);
            prop_assert!(choice.error <= best + largest + 1e-12);
        } else {
            prop_assert!(best.is_infinite());
        }
    }

    #[test]
    fn a_front_rises_in_cost_and_falls_in_error(curves in curves(3)) {
        let shape = shape(3);
        let front = front(&shape, &curves, &Shape::count_parameters).expect("possible");
        prop_assert!(front.is_sorted_by(|one, next| one.cost < next.cost && one.error > next.error));
        for choice in &front {
            let of_shape = choice.shape(&shape).expect("possible").count_parameters();
            prop_assert_eq!(choice.cost, of_shape);
            let bought = choose(&shape, &curves, choice.cost, &Shape::count_parameters);
            prop_assert!(bought.expect("it costs that").error <= choice.error + 1e-12);
        }
    }
}

#[test]
fn a_budget_below_the_smallest_model_is_refused() {
    let layer = LayerCurves { heads: curve(&[0.1; 3], 1), neurons: curve(&[0.1; 4], 2) };
    let curves = Curves { depth: vec![None, Some(0.0)], layers: vec![layer; 2] };
    let refused = choose(&shape(2), &curves, 10, &Shape::count_parameters).expect_err("too small");
    let smallest = Vit::new(12, vec![1; 2], 4, vec![2; 2]).shape().expect("possible");
    let expected = smallest.count_parameters();
    let message =
        format!("budget: found 10, expected at least {expected}, which the smallest model needs");
    assert_eq!(refused.to_string(), message);
}
