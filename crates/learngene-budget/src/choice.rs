use learngene_format::{Curves, centroid_shape};
use learngene_shape::{LayerSizes, Shape};
use learngene_tensors::{Error, Result};

use crate::steps::{Step, Steps};

/// Sizes of a model that a budget buys.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Heads and hidden units of each layer; so many of the first layers are kept.
    pub sizes: Vec<LayerSizes>,
    /// What the model costs.
    pub cost: u64,
    /// What it loses, by the curves.
    pub error: f64,
}

impl Choice {
    /// Shape of the model, of one that can be larger.
    ///
    /// # Errors
    /// Those of [`centroid_shape`].
    pub fn shape(&self, whole: &Shape) -> Result<Shape> {
        let layers: Vec<usize> = (0..self.sizes.len()).collect();
        centroid_shape(whole, &layers, |layer| self.sizes[layer])
    }
}

/// The model that loses least and costs at most the limit. A cost grows with every head, hidden unit
/// and layer, and what one costs does not depend on the others.
///
/// # Errors
/// A limit below the cost of the smallest model.
pub fn choose(
    shape: &Shape,
    curves: &Curves,
    limit: u64,
    cost: &dyn Fn(&Shape) -> u64,
) -> Result<Choice> {
    let steps = Steps::new(shape, curves, cost)?;
    let mut smallest = u64::MAX;
    let mut best: Option<Choice> = None;
    for (depth, error) in (1..).zip(&curves.depth) {
        let Some(error) = *error else { continue };
        let mut choice = least(shape, &steps, depth, error, cost)?;
        smallest = smallest.min(choice.cost);
        if choice.cost > limit {
            continue;
        }
        let mut closed = Vec::new();
        for step in steps.steps.iter().filter(|step| step.layer < depth) {
            let curve = (step.layer, step.part);
            if closed.contains(&curve) {
                continue;
            }
            if choice.cost + step.cost > limit {
                closed.push(curve);
                continue;
            }
            choice.take(step, weight(error));
        }
        // Of two that lose the same the shallower one, which computes less.
        if best.as_ref().is_none_or(|best| choice.error < best.error) {
            best = Some(choice);
        }
    }
    best.ok_or_else(|| {
        let expected = format!("at least {smallest}, which the smallest model needs");
        Error::invalid("budget", limit, expected)
    })
}

/// Models that lose less than any other of their cost, from the smallest to the whole one.
///
/// # Errors
/// Curves of another shape.
pub fn front(shape: &Shape, curves: &Curves, cost: &dyn Fn(&Shape) -> u64) -> Result<Vec<Choice>> {
    let steps = Steps::new(shape, curves, cost)?;
    let mut choices = Vec::new();
    for (depth, error) in (1..).zip(&curves.depth) {
        let Some(error) = *error else { continue };
        let mut choice = least(shape, &steps, depth, error, cost)?;
        choices.push(choice.clone());
        for step in steps.steps.iter().filter(|step| step.layer < depth) {
            choice.take(step, weight(error));
            choices.push(choice.clone());
        }
    }
    choices.sort_by(|a, b| a.cost.cmp(&b.cost).then(a.error.total_cmp(&b.error)));
    let mut least = f64::INFINITY;
    choices.retain(|choice| {
        let is_better = choice.error < least;
        least = least.min(choice.error);
        is_better
    });
    Ok(choices)
}

/// Choices at even distances of cost, the smallest and the largest among them.
///
/// # Panics
/// Panics where there is none.
pub fn evenly(choices: &[Choice], rows: usize) -> Vec<&Choice> {
    let (first, last) = (choices[0].cost, choices[choices.len() - 1].cost);
    let rows = rows.min(choices.len()).max(2);
    let wanted = |row: usize| first + (last - first) * row as u64 / (rows - 1) as u64;
    let mut chosen: Vec<&Choice> = (0..rows)
        .filter_map(|row| choices.iter().rfind(|choice| choice.cost <= wanted(row)))
        .collect();
    chosen.dedup();
    chosen
}

/// The smallest model of so many of the first layers.
fn least(
    shape: &Shape,
    steps: &Steps,
    depth: usize,
    error: f64,
    cost: &dyn Fn(&Shape) -> u64,
) -> Result<Choice> {
    let sizes = steps.least[..depth].to_vec();
    let error = error + weight(error) * steps.error[..depth].iter().sum::<f64>();
    let choice = Choice { sizes, cost: 0, error };
    Ok(Choice { cost: cost(&choice.shape(shape)?), ..choice })
}

/// How much errors inside layers count in a model of fewer layers, whose features predict the
/// ancestor's but for this error. The prediction shrinks what it is made of by `1 - error`, and a
/// squared error by its square.
fn weight(error: f64) -> f64 {
    (1.0 - error).max(0.0).powi(2)
}

impl Choice {
    fn take(&mut self, step: &Step, weight: f64) {
        *step.part.of(&mut self.sizes[step.layer]) = step.kept;
        self.cost += step.cost;
        self.error = (self.error - weight * step.saved).max(0.0);
    }
}
