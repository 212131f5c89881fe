//! Learngenes of any shape and content, for property tests.

use std::collections::BTreeMap;

use learngene_format::{
    Ancestor, ClusterAlgorithm, Clusters, Convention, Curves, Distances, FfnAlgorithm, FfnClusters,
    FfnGroup, FfnNorm, Fit, HeadClusters, HeadOrder, LayerClusters, LayerCurves, LayerFits,
    Learngene, Manifest, NoisePolicy, Parameters, Point, Preprocessing, Refit,
    RepresentativePolicy, Residual, Store, VERSION, centroid_shape,
};
use learngene_shape::{Family, FfnKind, LayerSizes, Shape, Swin, Vit};
use learngene_tensors::{Sha256, Tensor};
use proptest::{collection::vec, prelude::*};

/// Any small learngene; its values are any that its number format can hold.
pub fn learngenes() -> impl Strategy<Value = Learngene> {
    vec(any::<u64>(), 64).prop_map(|throws| Dice { throws, next: 0 }.learngene())
}

/// Numbers that decide what is made, taken one after another and again from the start.
struct Dice {
    throws: Vec<u64>,
    next: usize,
}

impl Dice {
    fn throw(&mut self) -> u64 {
        self.next += 1;
        // Repeats would be alike, so every round turns the bits by one more.
        self.throws[self.next % self.throws.len()]
            .rotate_left((self.next / self.throws.len()) as u32)
    }

    /// 1 to `most`.
    fn size(&mut self, most: usize) -> usize {
        1 + (self.throw() % most as u64) as usize
    }

    fn sizes(&mut self, count: usize, most: usize) -> Vec<usize> {
        (0..count).map(|_| self.size(most)).collect()
    }

    fn flag(&mut self) -> bool {
        self.throw().is_multiple_of(2)
    }

    fn one_of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.size(values.len()) - 1].clone()
    }

    /// Any finite, positive number, down to the subnormal ones.
    fn positive(&mut self) -> f64 {
        f64::from_bits(1 + self.throw() % (f64::INFINITY.to_bits() - 1))
    }

    fn positives(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.positive()).collect()
    }

    fn hash(&mut self) -> Sha256 {
        Sha256::of(&self.throw().to_le_bytes())
    }

    fn shape(&mut self) -> Shape {
        let num_classes = self.size(3) - 1;
        let (in_channels, embed_dim) = (self.size(3), self.size(4));
        let layer_norm_eps = self.positive();
        if self.flag() {
            let depth = self.size(3);
            let (grid, patch_size) = (self.size(2), self.size(2));
            let vit = Vit {
                image_size: grid * patch_size,
                patch_size,
                in_channels,
                embed_dim,
                num_heads: self.sizes(depth, 5),
                head_dim: self.size(3),
                hidden_dim: self.sizes(depth, 2),
                ffn: self.one_of(&[FfnKind::Mlp, FfnKind::SwiGlu]),
                num_classes,
                layer_norm_eps,
            };
            return vit.shape().expect("such ViTs are possible");
        }
        let stages = self.size(3);
        let depths = self.sizes(stages, 2);
        let depth = depths.iter().sum();
        // A window and the tokens of the last stage are `side` and perhaps twice that, so that the
        // one divides the other wherever it is less.
        let (side, patch_size) = (self.size(2), self.size(2));
        let grid = (side * self.size(2)) << (stages - 1);
        let swin = Swin {
            image_size: grid * patch_size,
            patch_size,
            window_size: side * self.size(2),
            in_channels,
            embed_dim,
            num_heads: self.sizes(depth, 5),
            head_dim: self.sizes(stages, 3),
            hidden_dim: self.sizes(depth, 2),
            depths,
            num_classes,
            layer_norm_eps,
        };
        swin.shape().expect("such Swins are possible")
    }

    fn distances(&mut self, shape: &Shape, ancestor_sha256: Sha256) -> Distances {
        let num_heads = shape.num_heads();
        let mut std = |heads| (0..heads).map(|_| self.flag().then(|| self.positive())).collect();
        let std = num_heads.iter().map(|heads| std(*heads)).collect();
        let mean_attention_distance =
            num_heads.iter().map(|heads| self.positives(*heads)).collect();
        let fraction = self.size(100) as f32 / 100.0;
        Distances {
            mean_attention_distance,
            std,
            images: 1 + self.throw() / 2,
            images_sha256: self.hash(),
            preprocessing: Preprocessing {
                image_size: shape.image().size,
                crop_pct: fraction,
                mean: [fraction, -fraction, fraction / 3.0],
                std: [fraction, fraction * 1.1, fraction / 3.0],
            },
            convention: self.one_of(&[Convention::Renormalized, Convention::Published]),
            skipped_rows: self.throw(),
            attended_side: shape.layers().iter().map(|layer| layer.field.attended_side()).collect(),
            depths: shape.stages().iter().map(|stage| stage.len()).collect(),
            ancestor_sha256,
            producer: "any \"program\" 1.0 \u{1f9ec}".into(),
        }
    }

    fn heads(&mut self, shape: &Shape) -> HeadClusters {
        let depth = shape.depth();
        let noise = self.one_of(&[NoisePolicy::Singleton, NoisePolicy::Nearest, NoisePolicy::Drop]);
        if self.flag() {
            return self.order(shape);
        }
        let algorithm = match self.flag() {
            true => ClusterAlgorithm::Dbscan {
                eps: self.positives(depth),
                min_points: self.size(usize::MAX),
                noise,
            },
            false => ClusterAlgorithm::Kmeans { k: vec![5; depth], seed: self.throw() },
        };
        let drops = matches!(algorithm, ClusterAlgorithm::Dbscan { noise: NoisePolicy::Drop, .. });
        let layer = |heads: usize| {
            let label = |head| (!drops || head == 0 || self.flag()).then(|| self.size(heads));
            let labels: Vec<_> = (0..heads).map(label).collect();
            let which = self.size(99);
            LayerClusters::new(&labels, |members| members[which % members.len()])
        };
        let layers = shape.num_heads().into_iter().map(layer).collect();
        HeadClusters {
            algorithm,
            representative: self.policy(),
            random_heads: self.flag().then(|| self.throw()),
            layers,
        }
    }

    fn order(&mut self, shape: &Shape) -> HeadClusters {
        let layer = |heads: usize| {
            let first = self.size(heads) - 1;
            let order: Vec<usize> = (0..self.size(heads)).map(|at| (first + at) % heads).collect();
            LayerClusters::of_order(heads, &order)
        };
        let layers = shape.num_heads().into_iter().map(layer).collect();
        let by = self.one_of(&[HeadOrder::Density, HeadOrder::Output]);
        HeadClusters {
            algorithm: ClusterAlgorithm::Order { by },
            representative: RepresentativePolicy::Nearest,
            random_heads: None,
            layers,
        }
    }

    fn policy(&mut self) -> RepresentativePolicy {
        self.one_of(&[RepresentativePolicy::Nearest, RepresentativePolicy::Mean])
    }

    fn ffn(&mut self, shape: &Shape) -> FfnClusters {
        let eps = self.positives(shape.depth());
        let algorithm = self.one_of(&[
            FfnAlgorithm::None,
            FfnAlgorithm::Given,
            FfnAlgorithm::Paper { eps: eps.clone() },
            FfnAlgorithm::Contiguous { eps },
        ]);
        let layers: Vec<usize> = (0..shape.depth()).collect();
        let joins = |layer: &usize, next: &usize| {
            let sizes = [layer, next].map(|layer| {
                let layer = shape.layer(*layer);
                (layer.stage, layer.ffn.hidden_dim)
            });
            algorithm != FfnAlgorithm::None && sizes[0] == sizes[1] && self.flag()
        };
        let runs: Vec<Vec<usize>> = layers.chunk_by(joins).map(<[usize]>::to_vec).collect();
        let group = |layers: Vec<usize>| FfnGroup { representative: self.one_of(&layers), layers };
        let groups = runs.into_iter().map(group).collect();
        let norm = self.one_of(&[FfnNorm::Representative, FfnNorm::Own]);
        FfnClusters { algorithm, representative: self.policy(), norm, groups }
    }

    fn fit(&mut self) -> Fit {
        let mut residual = || Residual {
            relative: self.positive(),
            median_channel: 0.0,
            worst_channel: self.positive(),
        };
        Fit { before: residual(), after: residual() }
    }

    fn refit(&mut self, depth: usize) -> Refit {
        let layers = (0..depth).map(|_| LayerFits { attention: self.fit(), ffn: self.fit() });
        let layers = layers.collect();
        Refit {
            ridge: self.positive(),
            images: 1 + self.throw() / 2,
            images_sha256: self.hash(),
            any_size: self.flag(),
            layers,
        }
    }

    fn curve(&mut self, all: usize) -> Vec<Point> {
        let kept = (1..=all).filter(|kept| *kept == all || self.flag()).collect::<Vec<_>>();
        let mut errors = self.positives(kept.len());
        errors.sort_by(|a, b| b.total_cmp(a));
        kept.into_iter().zip(errors).map(|(kept, error)| Point { kept, error }).collect()
    }

    fn curves(&mut self, shape: &Shape) -> Curves {
        let layer = |layer: &LayerSizes| LayerCurves {
            heads: self.curve(layer.num_heads),
            neurons: self.curve(layer.hidden_dim),
        };
        let layers = shape.layer_sizes().iter().map(layer).collect();
        let mut depth: Vec<_> =
            (1..shape.depth()).map(|_| self.flag().then(|| self.positive())).collect();
        depth.push(Some(0.0));
        Curves { depth, layers }
    }

    /// Some of the ancestor's layers, at least one of each stage, with some of their hidden units; all
    /// where layers share FFNs.
    fn kept(&mut self, ancestor: &Shape, clusters: &Clusters) -> (Vec<usize>, Shape) {
        let is_shared = clusters.ffn.groups.len() < ancestor.depth();
        let firsts: Vec<usize> = ancestor.stages().iter().map(|stage| stage.start).collect();
        let layers = 0..ancestor.depth();
        let layers: Vec<usize> =
            layers.filter(|layer| is_shared || firsts.contains(layer) || self.flag()).collect();
        let heads = clusters.heads.num_centroids();
        let sizes: Vec<LayerSizes> = layers
            .iter()
            .map(|layer| {
                let all = ancestor.layer(*layer).ffn.hidden_dim;
                let hidden_dim = if is_shared { all } else { self.size(all) };
                LayerSizes { num_heads: heads[*layer], hidden_dim }
            })
            .collect();
        let shape = centroid_shape(ancestor, &layers, |layer| sizes[layer]);
        (layers, shape.expect("a layer of each stage"))
    }

    fn learngene(mut self) -> Learngene {
        let (shape, sha256) = (self.shape(), self.hash());
        let distances = self.distances(&shape, sha256);
        let (heads, ffn) = (self.heads(&shape), self.ffn(&shape));
        let clusters = Clusters::new(heads, ffn, &distances, "");
        let (layers, kept) = self.kept(&shape, &clusters);
        let manifest = Manifest {
            version: VERSION,
            producer: self.throw().to_string(),
            refit: self.flag().then(|| self.refit(kept.depth())),
            curves: self.flag().then(|| self.curves(&kept)),
            shape: kept,
            layers,
            store: self.one_of(&[Store::F32, Store::F16, Store::BF16, Store::Int8, Store::Int4]),
            keep_projection: self.flag(),
            classifier: self.flag() && shape.num_classes() > 0,
            ancestor: Ancestor { sha256, parameters: shape.count_parameters(), shape },
            distances,
            clusters,
            parameters: Parameters::default(),
            tensors: BTreeMap::new(),
        };
        let shapes = manifest.expected_tensors().expect("such manifests are consistent");
        // Values of many sizes, up to the largest of f16.
        let value = |bits: i32| (bits as f32 / 16384.0).clamp(-65504.0, 65504.0);
        let tensors = shapes.into_iter().map(|(name, shape)| {
            let count = shape.iter().product();
            let values =
                (0..count).map(|_| value(self.throw() as i32 >> (self.size(32) - 1))).collect();
            (name, Tensor::new(shape, values))
        });
        let tensors = tensors.collect();
        Learngene::new(manifest, tensors).expect("such learngenes are whole")
    }
}
