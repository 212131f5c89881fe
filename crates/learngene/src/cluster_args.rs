//! From distances to clusters.

use std::{num::NonZeroUsize, str::FromStr};

use anyhow::{Context, ensure};
use clap::Args;
use learngene_clustering::{
    Algorithm, ClusterParams, FfnAlgorithm, FfnNorm, FfnParams, HeadClusters, KMeansLibrary,
    MeanAttentionDistances, NoisePolicy, Representative, cluster, cluster_ffns, default_eps,
    default_ffn_eps,
};
use learngene_models::ModelConfig;

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
    /// Least number of heads in the neighbourhood of a core head, itself counted.
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one)]
    pub min_points: NonZeroUsize,
    /// Whether a head in no cluster, possible for --min-points above 1, becomes a cluster of its
    /// own (the default), joins that of the nearest core head or is left out.
    #[arg(long, value_parser = choice::<NoisePolicy>(["singleton", "nearest", "drop"]))]
    pub noise: Option<NoisePolicy>,
    /// Makes exactly so many clusters of each layer by k-means, instead of those that --eps gives: one
    /// number, or one for each layer; no more than a layer has heads.
    #[arg(long, value_name = "K[,K..]", value_delimiter = ',', value_parser = at_least_one,
        allow_hyphen_values = true, conflicts_with_all = ["eps", "min_points", "noise"])]
    pub kmeans: Option<Vec<NonZeroUsize>>,
    /// Seed of the centroids that k-means begins with.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number::<u64>,
        requires = "kmeans", conflicts_with_all = ["eps", "min_points", "noise"])]
    pub seed: u64,
    /// Whether the member nearest the mean density stands for a cluster, or the mean of all
    /// members' parameters.
    #[arg(long, default_value = "nearest",
        value_parser = choice::<Representative>(["nearest", "mean"]))]
    pub representative: Representative,
    /// Keeps other heads, as a control: of each layer as many as there are clusters, with their sizes,
    /// but drawn at random by this seed, whatever distances they have; their means with
    /// --representative mean.
    #[arg(long, value_name = "SEED", value_parser = whole_number::<u64>)]
    pub random_heads: Option<u64>,
}

impl ClusterArgs {
    /// Refuses what heads and networks of this ancestor cannot be clustered by, before its distances
    /// are measured.
    pub fn check(&self, ffn: &FfnArgs, ancestor: &ModelConfig) -> anyhow::Result<()> {
        // The method's own eps, which follows from the distances, is always possible.
        let params = self.params(|| Some(vec![default_eps(224)]))?.check()?;
        params.check_heads(&ancestor.num_heads())?;
        ffn.params(&params.get().algorithm)?.check()?.check_layers(&ancestor.stages())?;
        Ok(())
    }

    /// Clusters the heads of each layer, and feed-forward networks of neighbouring layers.
    pub fn cluster(
        &self,
        ffn: &FfnArgs,
        distances: &MeanAttentionDistances,
    ) -> anyhow::Result<HeadClusters> {
        let params = self.params(|| distances.default_eps())?.check()?;
        let mut clusters = cluster(distances, &params)?;
        let ffn = ffn.params(&params.get().algorithm)?.check()?;
        // Distances that others wrote may not tell of stages.
        let stages = distances
            .stages()
            .unwrap_or_else(|| std::iter::once(0..clusters.layers.len()).collect());
        clusters.ffn = Some(cluster_ffns(distances, &stages, &ffn)?);
        let joined = clusters.layers.iter().filter(|l| l.labels.len() > 1 && l.sizes.len() == 1);
        let (joined, all) = (joined.count(), clusters.layers.len());
        if joined > 0 && self.kmeans.is_none() {
            tracing::info!(
                "in {joined} of {all} layers all heads are one cluster: a smaller --eps keeps more"
            );
        }
        Ok(match self.random_heads {
            Some(seed) => clusters.with_random_heads(seed),
            None => clusters,
        })
    }

    /// The parameters, with the method's eps for distances where none is given.
    fn params(
        &self,
        default_eps: impl FnOnce() -> Option<Vec<f64>>,
    ) -> anyhow::Result<ClusterParams> {
        ensure!(
            self.noise.is_none() || self.min_points.get() != 1,
            "--noise has no effect, as every head is in a cluster with --min-points 1: leave it \
             out, or give 2 or more"
        );
        let algorithm = match (&self.kmeans, &self.eps) {
            (Some(k), _) => Algorithm::KMeans {
                k: k.iter().map(|k| k.get()).collect(),
                seed: self.seed,
                library: KMeansLibrary::default(),
            },
            (None, eps) => Algorithm::Dbscan {
                eps: eps.clone().or_else(default_eps).context(
                    "the distances do not say their image size, so eps has no default: give --eps",
                )?,
                min_points: self.min_points.get(),
                noise: self.noise.unwrap_or_default(),
            },
        };
        Ok(ClusterParams { algorithm, representative: self.representative })
    }
}

/// How feed-forward networks of neighbouring layers are joined.
#[derive(Args)]
#[command(next_help_heading = "Feed-forward networks")]
pub struct FfnArgs {
    /// Joins the networks of neighbouring layers whose densities, the means of their heads', differ
    /// by at most so many pixels: a number, or auto for half of the heads' eps. Off by default, as
    /// each layer then keeps its own.
    #[arg(long, value_name = "off|auto|PIXELS")]
    pub ffn_eps: Option<FfnEps>,
    /// Joins these layers, counted from 0, instead: 6-7,9-11, or the groups that the published code
    /// has for deit_tiny, deit_small or deit_base.
    #[arg(long, value_name = "GROUPS", conflicts_with = "ffn_eps", allow_hyphen_values = true)]
    pub ffn_groups: Option<FfnGroups>,
    /// Whether the layer nearest the mean density stands for a group, or the mean of all layers'
    /// parameters [default: nearest].
    #[arg(long, value_parser = choice::<Representative>(["nearest", "mean"]))]
    pub ffn_representative: Option<Representative>,
    /// Whether the norm before a shared network is that of the representative, or each layer keeps
    /// its own [default: representative].
    #[arg(long, value_parser = choice::<FfnNorm>(["representative", "own"]))]
    pub ffn_norm: Option<FfnNorm>,
}

/// What `--ffn-eps` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FfnEps {
    Off,
    Auto,
    Pixels(f64),
}

impl FromStr for FfnEps {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            pixels => pixels.parse().map(Self::Pixels).map_err(|_| "wanted off, auto or a number"),
        }
    }
}

/// What `--ffn-groups` says.
#[derive(Clone, Debug, PartialEq)]
pub struct FfnGroups(Vec<Vec<usize>>);

impl FromStr for FfnGroups {
    type Err = &'static str;

    /// Reads `6-7,9-11`, or a name of [`FfnParams::PUBLISHED`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(FfnParams { algorithm: FfnAlgorithm::Given { groups }, .. }) =
            FfnParams::published(text)
        {
            return Ok(Self(groups));
        }
        let run = |run: &str| {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            let (first, last): (usize, usize) =
                (first.trim().parse().ok()?, last.trim().parse().ok()?);
            // Longer than any model, and a slip of the keyboard would ask for all of memory.
            (first <= last && last - first < 1024).then(|| (first..=last).collect())
        };
        let groups: Option<Vec<Vec<usize>>> = text.split(',').map(run).collect();
        groups
            .map(Self)
            .ok_or("wanted runs of layers such as 6-7,9-11, or deit_tiny, deit_small or deit_base")
    }
}

impl FfnArgs {
    /// The parameters, where heads are clustered like that.
    fn params(&self, heads: &Algorithm) -> anyhow::Result<FfnParams> {
        let is_joined =
            self.ffn_groups.is_some() || self.ffn_eps.is_some_and(|eps| eps != FfnEps::Off);
        ensure!(
            is_joined || (self.ffn_representative.is_none() && self.ffn_norm.is_none()),
            "--ffn-representative and --ffn-norm have no effect where no networks are joined: give \
             --ffn-eps or --ffn-groups too"
        );
        let algorithm = match (&self.ffn_groups, self.ffn_eps.unwrap_or(FfnEps::Off)) {
            (Some(FfnGroups(groups)), _) => FfnAlgorithm::Given { groups: groups.clone() },
            (None, FfnEps::Off) => FfnAlgorithm::None,
            (None, FfnEps::Pixels(eps)) => FfnAlgorithm::Contiguous { eps: vec![eps] },
            (None, FfnEps::Auto) => {
                let eps = match heads {
                    Algorithm::Dbscan { eps, .. } => Some(eps.clone()),
                    Algorithm::KMeans { .. } => None,
                };
                let eps = eps.context(
                    "k-means has no eps of which --ffn-eps auto could be half: give it in pixels",
                )?;
                FfnAlgorithm::Contiguous { eps: default_ffn_eps(&eps) }
            }
        };
        let representative = self.ffn_representative.unwrap_or_default();
        let norm = self.ffn_norm.unwrap_or_default();
        Ok(FfnParams { algorithm, representative, norm })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_runs_or_published_ones() {
        let groups = |text: &str| text.parse::<FfnGroups>().map(|FfnGroups(groups)| groups);
        assert_eq!(groups("6-7,9-11"), Ok(vec![vec![6, 7], vec![9, 10, 11]]));
        assert_eq!(groups("3"), Ok(vec![vec![3]]));
        assert_eq!(groups("deit_tiny"), Ok(vec![vec![1, 2], vec![10, 11]]));
        for text in ["", "7-6", "a-b", "1-2-3", "0-99999999999", "deit_huge"] {
            assert!(groups(text).is_err(), "{text}");
        }
    }

    #[test]
    fn eps_is_off_auto_or_pixels() {
        assert_eq!("off".parse(), Ok(FfnEps::Off));
        assert_eq!("auto".parse(), Ok(FfnEps::Auto));
        assert_eq!("2.5".parse(), Ok(FfnEps::Pixels(2.5)));
        assert!("half".parse::<FfnEps>().is_err());
    }
}
