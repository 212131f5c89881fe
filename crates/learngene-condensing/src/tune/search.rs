//! All settings that differ, and which of them nothing beats.

use std::{cell::RefCell, collections::HashMap};

use learngene_clustering::{
    ClusterParams, FfnParams, cluster, cluster_ffns, dbscan_layer, default_eps,
};
use learngene_format::{Distances, FfnGroup, NoisePolicy, ffn_runs};
use learngene_shape::Shape;
use learngene_tensors::{Error, Result};

use super::{
    TuneParams, TunePoint, TuneSetting,
    candidates::{Candidate, ascending, candidates, radii, thresholds},
    front::{combined, front},
    measure::Measured,
    size::Sizes,
};

/// What settings are made of.
pub(super) struct Search<'a> {
    distances: &'a Distances,
    ridge: f64,
    /// `[layer]`: the method's eps.
    default_eps: Vec<f64>,
    /// The values of `min_points` and noise policies that differ.
    modes: Vec<(usize, NoisePolicy)>,
    /// How FFNs can be joined: not at all first.
    joined: Vec<Joined>,
    measured: Measured,
    /// What is known of sets of heads.
    known: RefCell<HashMap<(usize, Vec<usize>), f64>>,
    /// What is known of groups of layers.
    known_groups: RefCell<HashMap<Vec<usize>, Vec<f64>>>,
}

/// FFNs as a radius joins them.
struct Joined {
    eps: Option<f64>,
    groups: Vec<FfnGroup>,
}

impl Joined {
    fn layers(&self) -> Vec<Vec<usize>> {
        self.groups.iter().map(|group| group.layers.clone()).collect()
    }
}

impl<'a> Search<'a> {
    /// Settings of these parameters; `measure` looks at the images, for every group of several layers
    /// that some radius makes.
    pub fn new(
        shape: &Shape,
        distances: &'a Distances,
        params: &TuneParams,
        measure: impl FnOnce(Vec<FfnGroup>) -> Result<Measured>,
    ) -> Result<Self> {
        let of_min_points = |min_points: &usize| match min_points {
            1 => vec![(1, NoisePolicy::Singleton)],
            // Noise that stays as clusters of its own is what `min_points = 1` makes of 2.
            2 => vec![(2, NoisePolicy::Drop), (2, NoisePolicy::Nearest)],
            more => [NoisePolicy::Singleton, NoisePolicy::Drop, NoisePolicy::Nearest]
                .map(|noise| (*more, noise))
                .to_vec(),
        };
        let mut min_points = params.min_points.clone();
        min_points.sort_unstable();
        min_points.dedup();
        let mut modes: Vec<_> = min_points.iter().flat_map(of_min_points).collect();
        let fewest = distances.num_heads().into_iter().enumerate().min_by_key(|(_, heads)| *heads);
        let (layer, heads) = fewest.expect("distances have layers");
        // With fewer heads than that all of them are noise.
        modes.retain(|(least, noise)| *noise == NoisePolicy::Singleton || *least <= heads);
        if modes.is_empty() {
            let expected = format!("1 too, since layer {layer} has no more heads than {heads}");
            return Err(Error::invalid("min_points", format!("{min_points:?}"), expected));
        }
        let joined = joined(shape, distances, params.ffn)?;
        Ok(Self {
            distances,
            ridge: params.ridge,
            default_eps: default_eps(distances),
            modes,
            measured: measure(shared_groups(&joined))?,
            joined,
            known: RefCell::default(),
            known_groups: RefCell::default(),
        })
    }

    /// The method's eps, with every layer's own FFN.
    pub fn default_point(&self, sizes: &Sizes) -> Result<TunePoint> {
        let layers = self.layers_at(&self.default_eps, (1, NoisePolicy::Singleton));
        let layers = layers.expect("every head is kept, in a cluster of its own at least");
        let mut point = self.point(&layers, 1, NoisePolicy::Singleton, &self.joined[0], sizes)?;
        point.setting.eps = one_for_all(self.default_eps.clone());
        Ok(point)
    }

    /// The front of settings with one eps for all layers.
    pub fn one_eps(&self, sizes: &Sizes) -> Result<Vec<TunePoint>> {
        let mut points = Vec::new();
        for &(min_points, noise) in &self.modes {
            let of_layers = self.layers().iter().flat_map(|heads| thresholds(heads, min_points));
            for eps in radii(&ascending(of_layers.collect()), self.default_eps[0]) {
                let all = vec![eps; self.layers().len()];
                let Some(layers) = self.layers_at(&all, (min_points, noise)) else { continue };
                for joined in &self.joined {
                    let mut point = self.point(&layers, min_points, noise, joined, sizes)?;
                    point.setting.eps = vec![eps];
                    points.push(point);
                }
            }
        }
        Ok(front(points, |point| (point.parameters, point.error)))
    }

    /// The front of settings with an eps for each layer.
    pub fn per_layer(&self, sizes: &Sizes) -> Result<Vec<TunePoint>> {
        let mut points = Vec::new();
        for &(min_points, noise) in &self.modes {
            let of_layer = |(layer, heads): (usize, &Vec<f64>)| {
                candidates(heads, min_points, noise, self.default_eps[layer])
            };
            let layers: Vec<Vec<Candidate>> =
                self.layers().iter().enumerate().map(of_layer).collect();
            let mut costs = Vec::new();
            for (layer, candidates) in layers.iter().enumerate() {
                let cost = |candidate: &Candidate| {
                    let heads = candidate.heads();
                    Ok((sizes.heads(layer, heads.len()), self.error_of(layer, heads)?))
                };
                let cost = candidates.iter().map(cost);
                costs.push(cost.collect::<Result<Vec<_>>>()?);
            }
            for choice in combined(&costs) {
                let picked = layers.iter().zip(&choice.picks);
                let picked: Vec<_> = picked.map(|(layer, pick)| layer[*pick].clone()).collect();
                for joined in &self.joined {
                    points.push(self.point(&picked, min_points, noise, joined, sizes)?);
                }
            }
        }
        Ok(front(points, |point| (point.parameters, point.error)))
    }

    /// The clusters of all layers, none where a layer has none.
    fn layers_at(&self, eps: &[f64], mode: (usize, NoisePolicy)) -> Option<Vec<Candidate>> {
        let (min_points, noise) = mode;
        let layers = self.layers().iter().zip(eps).map(|(heads, &eps)| {
            let clusters = dbscan_layer(heads, eps, min_points, noise)?;
            Some(Candidate { eps, clusters })
        });
        layers.collect()
    }

    fn layers(&self) -> &'a [Vec<f64>] {
        &self.distances.mean_attention_distance
    }

    fn error_of(&self, layer: usize, heads: Vec<usize>) -> Result<f64> {
        let key = (layer, heads);
        if let Some(error) = self.known.borrow().get(&key) {
            return Ok(*error);
        }
        let error = self.measured.attention_error(layer, &key.1, self.ridge)?;
        self.known.borrow_mut().insert(key, error);
        Ok(error)
    }

    /// Of each layer of a group.
    fn ffn_errors_of(&self, layers: &[usize]) -> Result<Vec<f64>> {
        if let Some(errors) = self.known_groups.borrow().get(layers) {
            return Ok(errors.clone());
        }
        let errors = self.measured.ffn_errors(layers, self.ridge)?;
        self.known_groups.borrow_mut().insert(layers.to_vec(), errors.clone());
        Ok(errors)
    }

    fn point(
        &self,
        layers: &[Candidate],
        min_points: usize,
        noise: NoisePolicy,
        joined: &Joined,
        sizes: &Sizes,
    ) -> Result<TunePoint> {
        let heads: Vec<Vec<usize>> = layers.iter().map(Candidate::heads).collect();
        let of_heads = heads.iter().enumerate();
        let attention_error = of_heads.map(|(layer, heads)| self.error_of(layer, heads.clone()));
        let attention_error: Vec<f64> = attention_error.collect::<Result<_, _>>()?;
        let ffn_groups = joined.layers();
        let mut ffn_error = Vec::new();
        for layers in &ffn_groups {
            ffn_error.extend(self.ffn_errors_of(layers)?);
        }
        let of_heads: u64 =
            heads.iter().enumerate().map(|(layer, heads)| sizes.heads(layer, heads.len())).sum();
        let parameters = sizes.without_heads(&ffn_groups) + of_heads;
        let errors = attention_error.iter().chain(&ffn_error);
        Ok(TunePoint {
            setting: TuneSetting {
                eps: layers.iter().map(|layer| layer.eps).collect(),
                min_points,
                noise,
                ffn_eps: joined.eps,
            },
            parameters,
            bytes: sizes.bytes(parameters),
            error: errors.sum::<f64>() / (2 * layers.len()) as f64,
            heads,
            ffn_groups,
            attention_error,
            ffn_error,
        })
    }
}

/// Every group of several layers, once.
fn shared_groups(joined: &[Joined]) -> Vec<FfnGroup> {
    let mut groups: Vec<FfnGroup> = Vec::new();
    let several = joined.iter().flat_map(|joined| &joined.groups);
    for group in several.filter(|group| group.layers.len() > 1) {
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    groups
}

fn one_for_all(mut eps: Vec<f64>) -> Vec<f64> {
    if eps.iter().all(|other| *other == eps[0]) {
        eps.truncate(1);
    }
    eps
}

/// FFNs that are not joined, then joined by every radius that makes a difference.
fn joined(shape: &Shape, distances: &Distances, are_joined: bool) -> Result<Vec<Joined>> {
    let heads = cluster(distances, &ClusterParams::dbscan(default_eps(distances)).check()?)?;
    let groups = |params: FfnParams| -> Result<Vec<FfnGroup>> {
        Ok(cluster_ffns(distances, &heads, &params.check()?.within(ffn_runs(shape))?)?.groups)
    };
    let mut found = vec![Joined { eps: None, groups: groups(FfnParams::default())? }];
    if !are_joined {
        return Ok(found);
    }
    let means = distances.layer_means();
    let gaps = means.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    for eps in radii(&ascending(gaps), 0.0) {
        let groups = groups(FfnParams::contiguous(vec![eps]))?;
        if found.iter().all(|other| other.groups != groups) {
            found.push(Joined { eps: Some(eps), groups });
        }
    }
    Ok(found)
}
