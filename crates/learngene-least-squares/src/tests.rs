use ndarray::{Array1, Array2, s};

use super::{LinearMap, Moments, NestedFit, NotFinite, Products, Sums};

/// Numbers without pattern, from -1 to 1.
fn scattered(count: usize, seed: usize) -> Vec<f32> {
    let mut state = (seed as u64).wrapping_add(11);
    let draws = (0..count).map(|_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) % 4001) as f32 / 2000.0 - 1.0
    });
    draws.collect()
}

pub(crate) struct Case {
    tokens: usize,
    features: Vec<f32>,
    targets: Vec<f32>,
}

const FEATURES: usize = 4;
const TARGETS: usize = 3;

pub(crate) fn case() -> Case {
    let tokens = 60;
    // Offsets of features and targets are what the bias is for.
    let shifted = |values: Vec<f32>, by: f32| values.into_iter().map(|v| v + by).collect();
    Case {
        tokens,
        features: shifted(scattered(tokens * FEATURES, 1), 3.0),
        targets: shifted(scattered(tokens * TARGETS, 2), -5.0),
    }
}

pub(crate) fn prior() -> LinearMap {
    let weight = scattered(FEATURES * TARGETS, 3).into_iter().map(f64::from).collect();
    LinearMap {
        weight: Array2::from_shape_vec((FEATURES, TARGETS), weight).expect("as many values"),
        bias: Array1::from_elem(TARGETS, 0.25),
    }
}

impl Case {
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = Sums::new(FEATURES, TARGETS);
        // In two batches, as images come.
        let middle = self.tokens / 3;
        for tokens in [0..middle, middle..self.tokens] {
            let features = &self.features[tokens.start * FEATURES..tokens.end * FEATURES];
            let targets = &self.targets[tokens.start * TARGETS..tokens.end * TARGETS];
            sums.push(features, targets).expect("finite numbers");
        }
        sums
    }

    /// Least squares from the definition: equations in all weights and the bias, by elimination.
    fn solved_directly(&self, prior: &Array2<f64>, ridge: f64) -> LinearMap {
        let (tokens, width) = (self.tokens as f64, FEATURES + 1);
        let row = |token: usize| -> Vec<f64> {
            let features = &self.features[token * FEATURES..][..FEATURES];
            features.iter().map(|value| f64::from(*value)).chain([1.0]).collect()
        };
        let mut matrix = Array2::<f64>::zeros((width, width + TARGETS));
        for token in 0..self.tokens {
            let row = row(token);
            for (left, value) in row.iter().enumerate() {
                for (right, other) in row.iter().enumerate() {
                    matrix[[left, right]] += value * other;
                }
                for target in 0..TARGETS {
                    let wanted = f64::from(self.targets[token * TARGETS + target]);
                    matrix[[left, width + target]] += value * wanted;
                }
            }
        }
        let variance = (0..FEATURES)
            .map(|feature| {
                let mean = matrix[[feature, FEATURES]] / tokens;
                matrix[[feature, feature]] / tokens - mean.powi(2)
            })
            .sum::<f64>()
            / FEATURES as f64;
        for feature in 0..FEATURES {
            matrix[[feature, feature]] += tokens * ridge * variance;
            for target in 0..TARGETS {
                matrix[[feature, width + target]] +=
                    tokens * ridge * variance * prior[[feature, target]];
            }
        }
        for column in 0..width {
            let pivot = matrix.row(column).to_owned() / matrix[[column, column]];
            for other in (0..width).filter(|other| *other != column) {
                let factor = matrix[[other, column]];
                matrix.row_mut(other).scaled_add(-factor, &pivot);
            }
            matrix.row_mut(column).assign(&pivot);
        }
        LinearMap {
            weight: matrix.slice(s![..FEATURES, width..]).to_owned(),
            bias: matrix.slice(s![FEATURES, width..]).to_owned(),
        }
    }

    /// Mean squared difference of each target, from the definition.
    fn errors(&self, map: &LinearMap) -> Vec<f64> {
        let error = |target: usize, token: usize| {
            let features = &self.features[token * FEATURES..][..FEATURES];
            let weights = features.iter().zip(map.weight.column(target));
            let output = weights.map(|(value, weight)| f64::from(*value) * weight).sum::<f64>();
            (output + map.bias[target] - f64::from(self.targets[token * TARGETS + target])).powi(2)
        };
        let mean = |target: usize| {
            (0..self.tokens).map(|token| error(target, token)).sum::<f64>() / self.tokens as f64
        };
        (0..TARGETS).map(mean).collect()
    }
}

pub(crate) fn distance(left: &LinearMap, right: &LinearMap) -> f64 {
    let weights = left.weight.iter().zip(&right.weight);
    let biases = left.bias.iter().zip(&right.bias);
    weights.chain(biases).fold(0.0, |worst, (a, b)| (a - b).abs().max(worst))
}

#[test]
fn a_fit_is_the_least_squares_solution() {
    let (case, prior) = (case(), prior());
    for ridge in [0.0, 1e-2, 1.0] {
        let fitted = case.sums().moments().fit(&prior.weight, ridge).expect("a solution");
        let wanted = case.solved_directly(&prior.weight, ridge);
        let distance = distance(&fitted, &wanted);
        assert!(distance < 1e-9, "ridge {ridge}: {distance}");
    }
}

#[test]
fn a_large_ridge_leaves_the_prior_and_fits_the_bias() {
    let (case, prior) = (case(), prior());
    let fitted = case.sums().moments().fit(&prior.weight, 1e9).expect("a solution");
    assert!((&fitted.weight - &prior.weight).iter().all(|change| change.abs() < 1e-8));
    assert!((&fitted.bias - &prior.bias).iter().all(|change| change.abs() > 1.0));
}

#[test]
fn errors_are_those_of_the_tokens() {
    let (case, prior) = (case(), prior());
    let moments = case.sums().moments();
    let residual = moments.residual(&prior);
    let (errors, variances) = (case.errors(&prior), &moments.target_variances);
    let mut channels: Vec<f64> = errors.iter().zip(variances).map(|(e, v)| e / v).collect();
    channels.sort_by(f64::total_cmp);
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-9 * want, "{got}, {want}");
    close(residual.relative, errors.iter().sum::<f64>() / variances.sum());
    close(residual.median_channel, channels[1]);
    close(residual.worst_channel, channels[2]);
}

#[test]
fn rows_may_come_in_parts() {
    let (first, mut second) = (case(), case());
    second.features = scattered(second.tokens * FEATURES, 8);
    second.targets = scattered(second.tokens * TARGETS, 9);
    let mut sums = first.sums();
    sums.push(&second.features, &second.targets).expect("finite numbers");
    let all = Case {
        tokens: first.tokens + second.tokens,
        features: [first.features, second.features].concat(),
        targets: [first.targets, second.targets].concat(),
    };
    let moments = sums.moments();
    let fitted = moments.fit(&prior().weight, 1e-2).expect("a solution");
    let distance = distance(&fitted, &all.solved_directly(&prior().weight, 1e-2));
    assert!(distance < 1e-9, "{distance}");
    for (got, want) in moments.errors(&prior()).into_iter().zip(all.errors(&prior())) {
        assert!((got - want).abs() < 1e-9 * want, "{got}, {want}");
    }
}

#[test]
fn first_features_are_fitted_as_if_alone() {
    let (case, prior) = (case(), prior().of_first(2));
    let first = case.sums().moments().of_first(2);
    let features: Vec<f32> =
        case.features.chunks(FEATURES).flat_map(|row| row[..2].to_vec()).collect();
    let mut alone = Sums::new(2, TARGETS);
    alone.push(&features, &case.targets).expect("finite numbers");
    let alone = alone.moments().fit(&prior.weight, 1e-2).expect("a solution");
    let fitted = first.fit(&prior.weight, 1e-2).expect("a solution");
    assert!(distance(&fitted, &alone) < 1e-9);
}

#[test]
fn equal_features_share_what_they_explain() {
    let mut case = case();
    // The second feature is the first, and the target twice as much.
    for token in 0..case.tokens {
        case.features[token * FEATURES + 1] = case.features[token * FEATURES];
        for target in 0..TARGETS {
            case.targets[token * TARGETS + target] = 2.0 * case.features[token * FEATURES] - 1.0;
        }
    }
    let moments = case.sums().moments();
    let fitted = moments.fit(&Array2::zeros((FEATURES, TARGETS)), 0.0).expect("a solution");
    for target in 0..TARGETS {
        let weight = fitted.weight.column(target);
        assert!((weight[0] - 1.0).abs() < 1e-5 && (weight[1] - 1.0).abs() < 1e-5, "{weight}");
        assert!((fitted.bias[target] + 1.0).abs() < 1e-5);
    }
    assert!(moments.residual(&fitted).relative < 1e-9);
}

#[test]
fn features_that_never_vary_change_nothing_but_the_bias() {
    let mut case = case();
    case.features.fill(2.0);
    let fitted = case.sums().moments().fit(&prior().weight, 0.0).expect("a solution");
    assert_eq!(fitted.weight, prior().weight);
    let mean = case.targets.iter().step_by(TARGETS).map(|v| f64::from(*v)).sum::<f64>()
        / case.tokens as f64;
    let output = fitted.bias[0] + 2.0 * fitted.weight.column(0).sum();
    assert!((output - mean).abs() < 1e-9);
}

#[test]
fn targets_that_never_vary_are_no_error() {
    let mut case = case();
    case.targets.fill(0.1);
    let moments = case.sums().moments();
    let fitted = moments.fit(&prior().weight, 0.0).expect("a solution");
    let residual = moments.residual(&fitted);
    assert_eq!((residual.relative, residual.worst_channel), (0.0, 0.0));
}

#[test]
fn sums_do_not_depend_on_the_number_of_threads() {
    let (tokens, features, targets) = (300, 200, 70);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let mut sums = Sums::new(features, targets);
            let left = scattered(tokens * features, 5);
            sums.push(&left, &scattered(tokens * targets, 6)).expect("finite");
            let moments = sums.moments();
            let prior = Array2::zeros((features, targets));
            let fitted = moments.fit(&prior, 1e-3).expect("a solution");
            let residual = moments.residual(&fitted);
            (fitted, residual)
        })
    };
    let one = run(1);
    assert_eq!(run(2), one);
    assert_eq!(run(5), one);
}

#[test]
fn sums_that_were_computed_elsewhere_count_like_rows() {
    let case = case();
    let row = |token: usize| {
        let features = &case.features[token * FEATURES..][..FEATURES];
        [features, &case.targets[token * TARGETS..][..TARGETS]].concat()
    };
    let width = FEATURES + TARGETS;
    let mut products = vec![0.0; FEATURES * width];
    let (mut sums, mut squares) = (vec![0.0; width], vec![0.0; TARGETS]);
    for row in (0..case.tokens).map(row) {
        for at in 0..width {
            sums[at] += row[at];
            (0..FEATURES)
                .for_each(|feature| products[feature * width + at] += row[feature] * row[at]);
        }
        (0..TARGETS).for_each(|target| squares[target] += row[FEATURES + target].powi(2));
    }
    let rows = case.tokens as u64;
    let given = Products { rows, products: &products, sums: &sums, squares: &squares };
    let fit = |moments: Moments| moments.fit(&prior().weight, 1e-2).expect("a solution");
    let elsewhere = given.moments().expect("finite numbers");
    // Sums in f32, of features and targets far from 0.
    assert!(distance(&fit(elsewhere), &fit(case.sums().moments())) < 1e-2);
    products[1] = f32::NAN;
    let given = Products { rows, products: &products, sums: &sums, squares: &squares };
    assert!(given.moments().is_err());
}

/// The moments of targets that are a map of the features.
#[test]
fn targets_that_are_a_map_need_not_be_measured() {
    let mut case = case();
    let map = prior();
    for token in 0..case.tokens {
        let features = &case.features[token * FEATURES..][..FEATURES];
        for target in 0..TARGETS {
            let weights = features.iter().zip(map.weight.column(target));
            let output = weights.map(|(value, weight)| f64::from(*value) * weight).sum::<f64>();
            case.targets[token * TARGETS + target] = (output + map.bias[target]) as f32;
        }
    }
    let measured = case.sums().moments();
    let mut alone = Sums::new(FEATURES, 0);
    alone.push(&case.features, &[]).expect("finite numbers");
    let derived = alone.moments().with_targets_of(&map);
    let near =
        |a: &Array1<f64>, b: &Array1<f64>| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(&derived.target_means, &measured.target_means));
    assert!(near(&derived.target_variances, &measured.target_variances));
}

#[test]
fn maps_are_rounded_and_kept_only_where_they_help() {
    let moments = case().sums().moments();
    let eighths = |value: f32| (value * 8.0).round() / 8.0;
    let coarse = |map: LinearMap| {
        (map.rounded(|values| values.into_iter().map(eighths).collect()), "coarse")
    };
    let (NestedFit { map, .. }, beside, fit) =
        moments.best(prior(), 1e-2, coarse).expect("a solution");
    assert!(map.weight.iter().all(|weight| (weight * 8.0).fract() == 0.0));
    assert!(fit.after.relative < fit.before.relative);
    assert_eq!((moments.residual(&map), beside), (fit.after, "coarse"));
    // Only the prior survives this rounding.
    let useless = |map: LinearMap| match map == prior() {
        true => (map, "prior"),
        false => (map.rounded(|values| vec![1e3; values.len()]), "fitted"),
    };
    let (NestedFit { map, .. }, beside, fit) =
        moments.best(prior(), 1e-2, useless).expect("a solution");
    assert_eq!((map, beside, fit.after), (prior(), "prior", fit.before));
}

#[test]
fn maps_keep_the_layout_of_checkpoints() {
    let [weight, bias] = [vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![7.0, 8.0]];
    let map = LinearMap::from_rows(&weight, &bias);
    assert_eq!(map.weight.row(0).to_vec(), [1.0, 4.0]);
    assert_eq!(map.to_rows(), [weight, bias]);
    assert_eq!(map.to_columns()[0], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(map.of_inputs(&[2, 0]).weight.column(1).to_vec(), [6.0, 4.0]);
}

#[test]
fn rows_that_are_not_finite_are_left_out() {
    let mut case = case();
    let mut sums = case.sums();
    case.features[7] = f32::NAN;
    assert_eq!(sums.push(&case.features, &case.targets), Err(NotFinite));
    let fit = |sums: Sums| sums.moments().fit(&prior().weight, 0.0).expect("a solution");
    case.features[7] = 0.0;
    assert_eq!(fit(sums), fit(self::case().sums()));
}

#[test]
fn features_that_are_the_targets_are_mapped_by_the_identity() {
    let features = case().features;
    let mut sums = Sums::new(FEATURES, FEATURES);
    sums.push(&features, &features).expect("finite numbers");
    let map = sums.moments().near_identity(0.1).expect("finite numbers");
    assert_eq!(map, LinearMap { weight: Array2::eye(FEATURES), bias: Array1::zeros(FEATURES) });
    let map = case().sums().moments().near_identity(0.1).expect("finite numbers");
    assert_eq!(
        map,
        case().sums().moments().fit(&Array2::zeros((FEATURES, TARGETS)), 0.1).expect("finite")
    );
}
