//! From distances to clusters.

use std::{num::NonZeroUsize, str::FromStr};

use anyhow::{bail, ensure};
use clap::Args;
use learngene_clustering::{
    ClusterParams, FfnParams, cluster, cluster_ffns, default_eps, default_ffn_eps,
    with_random_heads,
};
use learngene_format::{
    ClusterAlgorithm, Clusters, Distances, FfnNorm, LayerClusters, NoisePolicy,
    RepresentativePolicy, ffn_runs,
};
use learngene_shape::Shape;

use crate::args::{at_least_one, choice, number, whole_number};

/// How heads are joined by their densities.
#[derive(Args)]
#[command(next_help_heading = "Clustering")]
pub struct ClusterArgs {
    /// Radius of a neighbourhood in pixels, one number or one for each layer; by default 10 px where
    /// heads attend to images (ViT) or windows (Swin) of 224 px, in proportion for others.
    #[arg(long, value_name = "PIXELS[,PIXELS..]", value_delimiter = ',',
        value_parser = number::<f64>, allow_hyphen_values = true)]
    pub eps: Option<Vec<f64>>,
    /// Least number of heads in the neighbourhood of a core head, itself counted [default: 1].
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub min_points: Option<NonZeroUsize>,
    /// Whether a head in no cluster, possible for --min-points above 1, becomes a cluster of its
    /// own (the default), joins that of the nearest core head or is left out.
    #[arg(long, value_parser = choice::<NoisePolicy>(["singleton", "nearest", "drop"]))]
    pub noise: Option<NoisePolicy>,
    /// Makes exactly so many clusters of each layer by k-means, instead of those that --eps gives: one
    /// number, or one for each layer; no more than a layer has heads.
    #[arg(long, value_name = "K[,K..]", value_delimiter = ',', value_parser = at_least_one,
        allow_hyphen_values = true, conflicts_with_all = ["eps", "min_points", "noise"])]
    pub kmeans: Option<Vec<NonZeroUsize>>,
    /// Seed of the centroids that k-means begins with [default: 0].
    #[arg(long, value_name = "N", value_parser = whole_number::<u64>,
        requires = "kmeans", conflicts_with_all = ["eps", "min_points", "noise"])]
    pub seed: Option<u64>,
    /// Whether the member nearest the mean density stands for a cluster, or the mean of all
    /// members' parameters [default: nearest].
    #[arg(long, value_parser = choice::<RepresentativePolicy>(["nearest", "mean"]))]
    pub representative: Option<RepresentativePolicy>,
    /// Keeps other heads, as a control: of each layer as many as there are clusters, with their sizes,
    /// but drawn at random by this seed, whatever distances they have; their means with
    /// --representative mean.
    #[arg(long, value_name = "SEED", value_parser = whole_number::<u64>)]
    pub random_heads: Option<u64>,
}

impl ClusterArgs {
    /// Whether any of them was given.
    pub fn is_given(&self) -> bool {
        let Self { eps, min_points, noise, kmeans, seed, representative, random_heads } = self;
        eps.is_some()
            || min_points.is_some()
            || noise.is_some()
            || kmeans.is_some()
            || seed.is_some()
            || representative.is_some()
            || random_heads.is_some()
    }

    /// Refuses parameters that cannot cluster the heads and FFNs of this ancestor, before its distances
    /// are measured.
    pub fn check(&self, ffn: &FfnArgs, ancestor: &Shape) -> anyhow::Result<()> {
        // The default eps follows from the distances and is always possible.
        let eps = [10.0];
        let params = self.params(&eps)?.check()?;
        params.check_heads(&ancestor.num_heads())?;
        let ffn = ffn.params(&params.get().algorithm, &eps)?.check()?;
        ffn.within(ffn_runs(ancestor))?;
        Ok(())
    }

    /// Clusters the heads of each layer, and the FFNs of adjacent layers. Only where the ancestor's shape
    /// is known are FFNs of different widths kept apart.
    pub fn cluster(
        &self,
        ffn: &FfnArgs,
        distances: &Distances,
        ancestor: Option<&Shape>,
    ) -> anyhow::Result<Clusters> {
        let eps = default_eps(distances);
        let params = self.params(&eps)?.check()?;
        let mut ffn = ffn.params(&params.get().algorithm, &eps)?.check()?;
        if let Some(ancestor) = ancestor {
            ffn = ffn.within(ffn_runs(ancestor))?;
        }
        let heads = cluster(distances, &params)?;
        let ffn = cluster_ffns(distances, &heads, &ffn)?;
        let is_joined = |layer: &&LayerClusters| layer.labels.len() > 1 && layer.sizes.len() == 1;
        let (joined, all) = (heads.layers.iter().filter(is_joined).count(), heads.layers.len());
        if joined > 0 && self.kmeans.is_none() {
            tracing::info!(
                "in {joined} of {all} layers all heads are one cluster: a smaller --eps keeps more"
            );
        }
        let heads = match self.random_heads {
            Some(seed) => with_random_heads(heads, seed),
            None => heads,
        };
        Ok(Clusters::new(heads, ffn, distances, crate::PRODUCER))
    }

    /// The parameters.
    fn params(&self, default_eps: &[f64]) -> anyhow::Result<ClusterParams> {
        let min_points = self.min_points.map_or(1, NonZeroUsize::get);
        ensure!(
            self.noise.is_none() || min_points != 1,
            "--noise has no effect with --min-points 1, where every head is in a cluster: leave it \
             out, or pass 2 or more"
        );
        let algorithm = match &self.kmeans {
            Some(k) => {
                let k = k.iter().map(|k| k.get()).collect();
                ClusterAlgorithm::Kmeans { k, seed: self.seed.unwrap_or(0) }
            }
            None => ClusterAlgorithm::Dbscan {
                eps: self.eps.clone().unwrap_or_else(|| default_eps.to_vec()),
                min_points,
                noise: self.noise.unwrap_or_default(),
            },
        };
        Ok(ClusterParams { algorithm, representative: self.representative.unwrap_or_default() })
    }
}

/// How FFNs of adjacent layers are joined.
#[derive(Args)]
#[command(next_help_heading = "FFNs")]
pub struct FfnArgs {
    /// Which adjacent layers share one FFN. off: none. paper: those with equally many clusters whose
    /// distances, cluster by cluster, differ by less than 10 px on average (in proportion for other
    /// squares than 224 px; paper:PIXELS for another radius); the shallower layer's FFN is kept. PIXELS: those
    /// whose mean distances differ by at most this many pixels; auto: by at most half of the heads' eps.
    /// Or a list of layers, counted from 0, such as 6-7,9-11 [default: off].
    #[arg(long, value_name = "off|paper[:PIXELS]|auto|PIXELS|LAYERS", allow_hyphen_values = true)]
    pub ffn: Option<FfnChoice>,
    /// Whether the layer nearest the mean distance stands for a group, or the mean of all layers'
    /// parameters [default: nearest].
    #[arg(long, value_parser = choice::<RepresentativePolicy>(["nearest", "mean"]))]
    pub ffn_representative: Option<RepresentativePolicy>,
    /// Whether the norm before a shared FFN is that of the representative, or each layer keeps its own
    /// [default: representative].
    #[arg(long, value_parser = choice::<FfnNorm>(["representative", "own"]))]
    pub ffn_norm: Option<FfnNorm>,
}

impl FfnArgs {
    /// Whether any of them was given.
    pub fn is_given(&self) -> bool {
        let Self { ffn, ffn_representative, ffn_norm } = self;
        ffn.is_some() || ffn_representative.is_some() || ffn_norm.is_some()
    }
}

/// A value of `--ffn`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum FfnChoice {
    #[default]
    Off,
    Paper(Option<f64>),
    Auto,
    Pixels(f64),
    Groups(Vec<Vec<usize>>),
}

impl FromStr for FfnChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(pixels) = text.parse() {
            return Ok(Self::Pixels(pixels));
        }
        let choice = match (text, text.strip_prefix("paper:")) {
            ("off", _) => Some(Self::Off),
            ("paper", _) => Some(Self::Paper(None)),
            ("auto", _) => Some(Self::Auto),
            (_, Some(pixels)) => pixels.parse().ok().map(|pixels| Self::Paper(Some(pixels))),
            _ => text.split(',').map(run).collect::<Option<_>>().map(Self::Groups),
        };
        choice.ok_or(
            "expected off, paper, paper:PIXELS, auto, a number of pixels, or layers as 6-7,9-11",
        )
    }
}

/// The layers of `6-7`, or of `6`.
fn run(text: &str) -> Option<Vec<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    // A typing error must not ask for all memory.
    (first <= last && last - first < learngene_shape::MAX_DEPTH).then(|| (first..=last).collect())
}

impl FfnArgs {
    /// The parameters, for heads that are clustered like that.
    fn params(&self, heads: &ClusterAlgorithm, default_eps: &[f64]) -> anyhow::Result<FfnParams> {
        let params = match self.ffn.clone().unwrap_or_default() {
            FfnChoice::Off => {
                ensure!(
                    self.ffn_representative.is_none() && self.ffn_norm.is_none(),
                    "--ffn-representative and --ffn-norm have no effect where no FFNs are joined: \
                     pass --ffn too"
                );
                FfnParams::default()
            }
            FfnChoice::Paper(pixels) => {
                ensure!(
                    self.ffn_representative.is_none(),
                    "--ffn paper keeps the shallower layer's FFN: leave --ffn-representative out"
                );
                FfnParams::paper(pixels.map_or_else(|| default_eps.to_vec(), |eps| vec![eps]))
            }
            FfnChoice::Pixels(eps) => FfnParams::contiguous(vec![eps]),
            FfnChoice::Groups(groups) => FfnParams::given(groups),
            FfnChoice::Auto => match heads {
                ClusterAlgorithm::Dbscan { eps, .. } => FfnParams::contiguous(default_ffn_eps(eps)),
                ClusterAlgorithm::Kmeans { .. } => {
                    bail!("--ffn auto is half of eps, which k-means does not have: pass pixels")
                }
                ClusterAlgorithm::Order { .. } => unreachable!("no flag asks for an order"),
            },
        };
        let representative = self.ffn_representative.unwrap_or_default();
        let norm = self.ffn_norm.unwrap_or_default();
        Ok(FfnParams { representative, norm, ..params })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffns_are_joined_by_a_rule_a_radius_or_a_list() {
        let check = |text: &str, want| assert_eq!(text.parse(), Ok(want), "{text}");
        check("off", FfnChoice::Off);
        check("auto", FfnChoice::Auto);
        check("paper", FfnChoice::Paper(None));
        check("paper:1.5", FfnChoice::Paper(Some(1.5)));
        check("2.5", FfnChoice::Pixels(2.5));
        check("-1", FfnChoice::Pixels(-1.0));
        check("6-7,9-11", FfnChoice::Groups(vec![vec![6, 7], vec![9, 10, 11]]));
        for text in ["", "half", "paper:", "7-6", "a-b", "1-2-3", "0-99999999999", "deit_base"] {
            assert!(text.parse::<FfnChoice>().is_err(), "{text}");
        }
    }
}
