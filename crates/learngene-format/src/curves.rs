use learngene_shape::{LayerSizes, Shape};
use learngene_tensors::Result;
use serde::{Deserialize, Serialize};

use crate::check::{SIZE, check_each, check_length, ensure, is_size};

/// What models that are smaller than this one lose, as a part of the variance of the ancestor's last
/// features over images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curves {
    /// `[depth]`: what cannot be predicted from the features after so many of the first layers: one, two,
    /// ..., all. Null where a model cannot be so shallow.
    pub depth: Vec<Option<f64>>,
    /// One entry for each layer.
    pub layers: Vec<LayerCurves>,
}

/// What is lost in one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerCurves {
    /// By the number of heads kept: a point for each number.
    pub heads: Vec<Point>,
    /// By the number of hidden units kept, points at even distances.
    pub neurons: Vec<Point>,
}

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// How many are kept.
    pub kept: usize,
    /// What is lost.
    pub error: f64,
}

impl Curves {
    /// The curves of a model of the first layers, with so many heads and hidden units each.
    pub fn of_sizes(&self, sizes: &[LayerSizes]) -> Self {
        let until = |points: &[Point], most: usize| {
            let fewer = points.iter().copied().filter(|point| point.kept < most);
            let error = points.iter().rfind(|point| point.kept <= most);
            let last = Point { kept: most, error: error.map_or(0.0, |point| point.error) };
            fewer.chain([last]).collect()
        };
        let layer = |(curves, sizes): (&LayerCurves, &LayerSizes)| LayerCurves {
            heads: until(&curves.heads, sizes.num_heads),
            neurons: until(&curves.neurons, sizes.hidden_dim),
        };
        Self {
            depth: self.depth[..sizes.len()].to_vec(),
            layers: self.layers.iter().zip(sizes).map(layer).collect(),
        }
    }

    pub(crate) fn check(&self, shape: &Shape) -> Result<()> {
        check_length("depth of the curves", self.depth.len(), shape.depth())?;
        let last = self.depth.last().copied().flatten();
        ensure(last.is_some(), "depth of the curves", "null at last", "a number for all layers")?;
        check_each("depth of the curves", self.depth.iter().flatten().copied(), is_size, SIZE)?;
        check_length("layers of the curves", self.layers.len(), shape.depth())?;
        for (index, LayerCurves { heads, neurons }) in self.layers.iter().enumerate() {
            let layer = shape.layer(index);
            check_curve(&format!("layer {index}: curve of heads"), heads, layer.heads.num_heads)?;
            let place = format!("layer {index}: curve of hidden units");
            check_curve(&place, neurons, layer.ffn.hidden_dim)?;
        }
        Ok(())
    }
}

/// A curve rises in size up to all that there are, and never in error.
fn check_curve(place: &str, points: &[Point], all: usize) -> Result<()> {
    check_each(place, points.iter().map(|point| point.error), is_size, SIZE)?;
    let kept = || points.iter().map(|point| point.kept);
    let is_rising = kept().is_sorted_by(|one, next| one < next) && kept().next() > Some(0);
    let found = kept().map(|kept| kept.to_string()).collect::<Vec<_>>().join(", ");
    let expected = format!("rising numbers of at least 1, the last {all}");
    ensure(is_rising && kept().next_back() == Some(all), place, found, expected)?;
    let is_falling = points.is_sorted_by(|one, next| one.error >= next.error);
    ensure(is_falling, place, "an error that grows", "errors that never grow")
}
