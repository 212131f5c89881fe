//! What can be bought one after another.

use learngene_format::{Curves, Point};
use learngene_shape::{LayerSizes, Shape};
use learngene_tensors::Result;

/// The smallest model of all layers, and what makes it larger.
pub(crate) struct Steps {
    /// `[layer]`
    pub least: Vec<LayerSizes>,
    /// `[layer]`: what is lost with the least.
    pub error: Vec<f64>,
    /// By what they save for their cost, the most first.
    pub steps: Vec<Step>,
}

/// More heads or more hidden units of one layer.
pub(crate) struct Step {
    pub layer: usize,
    pub part: Part,
    /// How many there are then.
    pub kept: usize,
    pub cost: u64,
    /// By how much less is lost.
    pub saved: f64,
}

/// A part of a layer that there may be more or less of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Heads,
    Neurons,
}

impl Part {
    pub fn of(self, sizes: &mut LayerSizes) -> &mut usize {
        match self {
            Self::Heads => &mut sizes.num_heads,
            Self::Neurons => &mut sizes.hidden_dim,
        }
    }
}

impl Steps {
    pub fn new(shape: &Shape, curves: &Curves, cost: &dyn Fn(&Shape) -> u64) -> Result<Self> {
        let first = |points: &[Point]| points[0].kept;
        let least = curves.layers.iter().map(|layer| LayerSizes {
            num_heads: first(&layer.heads),
            hidden_dim: first(&layer.neurons),
        });
        let least: Vec<LayerSizes> = least.collect();
        let mut error = Vec::new();
        let mut steps = Vec::new();
        for (layer, of_layer) in curves.layers.iter().enumerate() {
            error.push(of_layer.heads[0].error + of_layer.neurons[0].error);
            for (part, points) in
                [(Part::Heads, &of_layer.heads), (Part::Neurons, &of_layer.neurons)]
            {
                // What a part costs does not depend on the sizes of the others.
                let cost_of = |point: &Point| {
                    let mut sizes = least.clone();
                    *part.of(&mut sizes[layer]) = point.kept;
                    Ok(cost(&shape.with_layer_sizes(&sizes)?))
                };
                let costs = points.iter().map(cost_of).collect::<Result<Vec<u64>>>()?;
                for pair in hull(points, &costs).windows(2) {
                    let [from, to] = [pair[0], pair[1]];
                    steps.push(Step {
                        layer,
                        part,
                        kept: points[to].kept,
                        cost: costs[to] - costs[from],
                        saved: points[from].error - points[to].error,
                    });
                }
            }
        }
        // Steps of one curve are in order already, and stay so where they are worth the same.
        steps.sort_by(|a, b| b.rate().total_cmp(&a.rate()));
        Ok(Self { least, error, steps })
    }
}

impl Step {
    fn rate(&self) -> f64 {
        self.saved / self.cost as f64
    }
}

/// The points of a falling curve on its lower convex hull, the first and the last among them.
fn hull(points: &[Point], costs: &[u64]) -> Vec<usize> {
    let slope = |from: usize, to: usize| {
        (points[from].error - points[to].error) / (costs[to] - costs[from]) as f64
    };
    let mut hull: Vec<usize> = Vec::new();
    for point in 0..points.len() {
        while let [.., before, last] = hull[..]
            && slope(before, last) <= slope(last, point)
        {
            hull.pop();
        }
        hull.push(point);
    }
    hull
}
