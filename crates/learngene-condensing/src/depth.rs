//! What is lost when only the first layers are kept.

use burn::tensor::Tensor;
use learngene_least_squares::Cholesky;
use learngene_models::{Model, Pool};
use learngene_shape::Shape;
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::sums::fetch;

/// Parts of the images that are held out, one after another.
const FOLDS: usize = 4;

/// Fewer images say nothing of a depth.
pub(crate) const LEAST_IMAGES: usize = 8 * FOLDS;

/// Ridge, as a multiple of the features' mean variance over the images.
const RIDGE: f64 = 1.0;

/// Features of the images after each layer that may be the last one.
pub(crate) struct DepthErrors {
    depth: usize,
    /// Layers of the last stage: of these, only the first ones may be kept.
    first: usize,
    width: usize,
    /// Of each such layer `[images, features]`.
    features: Vec<Vec<f64>>,
}

impl DepthErrors {
    pub fn new(shape: &Shape) -> Self {
        let depth = shape.depth();
        let first = shape.stages().last().map_or(0, |stage| stage.start);
        Self { depth, first, width: 0, features: vec![Vec::new(); depth - first] }
    }

    /// Stores the pooled features of a batch from its tokens after `layer`.
    pub fn after_layer(&mut self, model: &Model, layer: usize, tokens: &Tensor<3>) {
        let Some(index) = layer.checked_sub(self.first) else { return };
        let pooled = model.pool_tokens(tokens.clone(), Pool::Both);
        self.width = pooled.dims()[1];
        self.features[index].extend(fetch(pooled).into_iter().map(f64::from));
    }

    /// Standard deviation of each feature after the last layer, over the images.
    pub fn deviations(&self) -> Vec<f64> {
        let last = self.of_layer(self.features.len() - 1);
        let variances = last.var_axis(Axis(0), 0.0);
        // A feature that hardly varies would drown all others.
        let least = (1e-4 * variances.mean().unwrap_or(0.0)).max(f64::MIN_POSITIVE);
        variances.into_iter().map(|variance| variance.max(least).sqrt()).collect()
    }

    fn of_layer(&self, index: usize) -> ArrayView2<'_, f64> {
        let values = &self.features[index];
        let shape = (values.len() / self.width, self.width);
        ArrayView2::from_shape(shape, values).expect("a row of features for each image")
    }

    /// `[layer]`: how much worse the features after the last layer are predicted from those after it, by
    /// ridge regression on images that were held out, than from themselves; relative to what can be
    /// predicted. `None` where the layer cannot be the
    /// last, or a number is not finite.
    pub fn errors(self) -> Vec<Option<f64>> {
        let mut errors = vec![None; self.depth];
        errors[self.depth - 1] = Some(0.0);
        let features: Vec<Array2<f64>> = (0..self.features.len())
            .map(|index| standardised(self.of_layer(index).to_owned()))
            .collect();
        let last = &features[features.len() - 1];
        let error = |features: &Array2<f64>| held_out_error(features, last);
        let by_layer: Option<Vec<f64>> = features.iter().map(error).collect();
        let Some(by_layer) = by_layer else { return errors };
        let least = by_layer[by_layer.len() - 1];
        // A deeper model is never said to lose more.
        let mut so_far = 1.0_f64;
        for (layer, error) in (self.first..).zip(by_layer) {
            so_far = so_far.min(((error - least) / (1.0 - least)).max(0.0));
            errors[layer] = Some(so_far);
        }
        errors
    }
}

fn standardised(mut features: Array2<f64>) -> Array2<f64> {
    for mut column in features.axis_iter_mut(Axis(1)) {
        let mean = column.mean().unwrap_or(0.0);
        column -= mean;
        let deviation = (column.dot(&column) / column.len() as f64).sqrt();
        if deviation > 0.0 {
            column /= deviation;
        }
    }
    features
}

/// Mean squared error of targets that are predicted from features, each fold from the others; by the
/// kernel form of ridge regression, since features are more than images. `None` where a number is not
/// finite.
fn held_out_error(features: &Array2<f64>, targets: &Array2<f64>) -> Option<f64> {
    let (images, width) = features.dim();
    let kernel = features.dot(&features.t()) / width as f64; // [images, images]
    let mut error = 0.0;
    for fold in 0..FOLDS {
        let (held_out, fitted): (Vec<_>, Vec<_>) =
            (0..images).partition(|image| image % FOLDS == fold);
        let means: Array1<f64> = targets.select(Axis(0), &fitted).mean_axis(Axis(0))?;
        let of_fitted = kernel.select(Axis(1), &fitted);
        let mut penalised = of_fitted.select(Axis(0), &fitted);
        penalised.diag_mut().mapv_inplace(|entry| entry + RIDGE);
        let weights = Cholesky::of(penalised)?.solve(targets.select(Axis(0), &fitted) - &means);
        let predicted = of_fitted.select(Axis(0), &held_out).dot(&weights) + &means;
        let differences = predicted - targets.select(Axis(0), &held_out);
        error += differences.iter().map(|difference| difference * difference).sum::<f64>();
    }
    Some(error / targets.len() as f64)
}
