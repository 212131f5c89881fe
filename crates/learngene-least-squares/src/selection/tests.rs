//! Orders on small cases.

use ndarray::Array1;
use proptest::prelude::*;

use super::*;

/// Moments of features and targets of mean 0, given row by row.
fn moments(features: &Array2<f64>, targets: &Array2<f64>) -> Moments {
    let rows = features.nrows() as f64;
    Moments {
        feature_means: Array1::zeros(features.ncols()),
        target_means: Array1::zeros(targets.ncols()),
        covariance: features.t().dot(features) / rows,
        cross: features.t().dot(targets) / rows,
        target_variances: (targets * targets).sum_axis(Axis(0)) / rows,
    }
}

/// What least squares on these features leave of the targets' variance.
fn left(moments: &Moments, features: &[usize]) -> f64 {
    let some = moments.of(features);
    let mut covariance = some.covariance.clone();
    covariance.diag_mut().mapv_inplace(|variance| variance + 1e-12);
    let weight = Cholesky::of(covariance).expect("full rank").solve(some.cross.clone());
    moments.target_variances.sum() - (&weight * &some.cross).sum()
}

/// The definition: of all groups the one with which least is left.
fn brute_force(moments: &Moments, width: usize, count: usize) -> Vec<usize> {
    let features = |groups: &[usize]| -> Vec<usize> {
        groups.iter().flat_map(|group| group * width..(group + 1) * width).collect()
    };
    let mut order: Vec<usize> = Vec::new();
    for _ in 0..count {
        let open = (0..moments.covariance.nrows() / width).filter(|g| !order.contains(g));
        let with = |group: usize| left(moments, &features(&[&order[..], &[group]].concat()));
        let best = open.min_by(|a, b| with(*a).total_cmp(&with(*b)));
        order.push(best.expect("a group is left"));
    }
    order
}

/// Rows of independent numbers.
fn rows(count: usize, features: usize) -> impl Strategy<Value = Array2<f64>> {
    let values = prop::collection::vec(-1.0..1.0_f64, count * features);
    values.prop_map(move |values| {
        Array2::from_shape_vec((count, features), values).expect("as many values")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_is_that_of_brute_force(
        features in rows(40, 8), targets in rows(40, 3), wide in any::<bool>(),
    ) {
        let width = if wide { 2 } else { 1 };
        let (moments, count) = (moments(&features, &targets), 8 / width);
        let selection = moments.forward_select(width, count).expect("finite");
        prop_assert_eq!(&selection.order, &brute_force(&moments, width, count));
        for (taken, of) in selection.left.iter().enumerate().skip(1) {
            let groups = &selection.order[..taken];
            let features: Vec<usize> =
                groups.iter().flat_map(|group| group * width..(group + 1) * width).collect();
            prop_assert!((of - left(&moments, &features)).abs() < 1e-6, "{} groups", taken);
        }
    }

    /// Also where several are taken at a time.
    #[test]
    fn orders_are_nested_and_the_rest_never_grows(
        features in rows(300, 200), targets in rows(300, 2), fewer in 1_usize..200,
    ) {
        let moments = moments(&features, &targets);
        let all = moments.forward_select(1, 200).expect("finite");
        prop_assert!(all.left.is_sorted_by(|before, after| before >= after));
        let mut sorted = all.order.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.into_iter().eq(0..200));
        // Blocks may end elsewhere, so that only what whole blocks take is the same.
        let some = moments.forward_select(1, fewer).expect("finite");
        let whole = fewer / 3 * 3;
        prop_assert_eq!(&some.order[..whole], &all.order[..whole]);
    }

    #[test]
    fn equal_features_are_never_both_among_the_first(
        features in rows(400, 130), targets in rows(400, 4),
    ) {
        // The second half are the first again, in part with the other sign.
        let mut twins = Array2::zeros((400, 260));
        twins.slice_mut(s![.., ..130]).assign(&features);
        twins.slice_mut(s![.., 130..]).assign(&features);
        twins.slice_mut(s![.., 200..]).mapv_inplace(|value| -2.0 * value);
        let selection = moments(&twins, &targets).forward_select(1, 260).expect("finite");
        let mut distinct: Vec<usize> = selection.order[..130].iter().map(|of| of % 130).collect();
        distinct.sort_unstable();
        prop_assert!(distinct.into_iter().eq(0..130));
    }
}

#[test]
fn what_is_no_number_is_refused() {
    let mut moments = moments(&Array2::eye(3), &Array2::eye(3));
    moments.cross[[1, 1]] = f64::NAN;
    assert_eq!(moments.forward_select(1, 2), Err(NotFinite));
}

/// As sums of a few tokens in single precision give them, far from zero.
#[test]
fn more_features_than_rows_have_an_order() {
    let noise = |row: usize, column: usize| ((row * 7919 + column * 104_729) % 1009) as f64;
    let features =
        Array2::from_shape_fn((20, 200), |(row, column)| 100.0 + noise(row, column) / 1009.0);
    let targets = Array2::from_shape_fn((20, 3), |(row, column)| noise(row + 50, column + 7));
    let means = features.mean_axis(Axis(0)).expect("rows");
    let squares = (features.t().dot(&features) / 20.0).mapv(|value| f64::from(value as f32));
    let outer = means.view().insert_axis(Axis(1));
    let covariance = squares - outer.dot(&outer.t());
    let moments = Moments {
        covariance,
        feature_means: means.clone(),
        ..moments(&(features - &means), &targets)
    };
    for (width, count) in [(1, 150), (10, 15)] {
        let selection = moments.forward_select(width, count).expect("finite");
        let mut order = selection.order;
        order.sort_unstable();
        order.dedup();
        assert_eq!(order.len(), count);
        assert!(selection.left.is_sorted_by(|before, after| before >= after));
        assert!(selection.left[count].is_finite());
    }
}

#[test]
fn features_that_never_vary_come_last() {
    let mut features = Array2::<f64>::eye(4);
    features.column_mut(0).fill(0.0);
    let selection = moments(&features, &Array2::eye(4)).forward_select(1, 4).expect("finite");
    assert_eq!(selection.order, [1, 2, 3, 0]);
}
