//! Models of another width: channels of the residual stream, and hidden units, chosen or repeated.
//!
//! Every module that reads a stream must find in each channel what every module that writes it put
//! there. So there is one choice of channels for each stream, by which rows that write it are
//! taken, and columns that read it; a channel that is there several times is read with a share of
//! its weight each, so that repeating channels changes nothing: where each is there equally often,
//! a layer norm has the same mean and variance as before.
//!
//! Channels are chosen evenly, as by Xu et al., "Initializing Models with Larger Ones", 2024,
//! <https://arxiv.org/abs/2311.18823>.

use std::collections::BTreeMap;

use learngene_models::{HostTensor, ModelConfig, StateDict};

/// How the channels of one stream become those of another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Channels {
    /// For each channel the one it comes from.
    sources: Vec<usize>,
    /// How many channels there were.
    from: usize,
}

impl Channels {
    /// Evenly chosen where there are fewer, repeated in turn where there are more.
    fn new(from: usize, to: usize) -> Self {
        let source = |channel: usize| if to <= from { channel * from / to } else { channel % from };
        Self { sources: (0..to).map(source).collect(), from }
    }

    /// Whether nothing changes.
    fn is_identity(&self) -> bool {
        self.sources.len() == self.from
    }

    /// Different channels that are taken.
    fn distinct(&self) -> usize {
        self.sources.len().min(self.from)
    }

    /// Four streams side by side, as where a Swin merges patches.
    fn four(&self) -> Self {
        let part = |quarter: usize| self.sources.iter().map(move |c| quarter * self.from + c);
        Self { sources: (0..4).flat_map(part).collect(), from: 4 * self.from }
    }

    /// What each channel's weight is divided by where it is read: how often its source is there.
    fn copies(&self) -> Vec<usize> {
        let mut counts = vec![0; self.from];
        self.sources.iter().for_each(|source| counts[*source] += 1);
        self.sources.iter().map(|source| counts[*source]).collect()
    }
}

/// How a parameter uses a stream along one of its axes.
#[derive(Clone, Debug)]
struct Use {
    axis: usize,
    channels: Channels,
    /// Whether it reads the stream, rather than writing or scaling it.
    reads: bool,
}

/// From the widths of one model to those of another of the same depth and heads.
pub(crate) struct Widths {
    /// By timm's name; a parameter that is not here stays as it is.
    uses: BTreeMap<String, Vec<Use>>,
}

impl Widths {
    pub(crate) fn new(from: &ModelConfig, to: &ModelConfig) -> Self {
        let mut uses = BTreeMap::new();
        let mut put = |name: String, of: &[(usize, &Channels, bool)]| {
            let changed = of.iter().filter(|(_, channels, _)| !channels.is_identity());
            let changed: Vec<Use> = changed
                .map(|&(axis, channels, reads)| Use { axis, channels: channels.clone(), reads })
                .collect();
            if !changed.is_empty() {
                uses.insert(name, changed);
            }
        };
        let first = Channels::new(from.embed_dim(), to.embed_dim());
        let last = Channels::new(from.num_features(), to.num_features());
        for name in ["patch_embed.proj", "patch_embed.norm"] {
            put(format!("{name}.weight"), &[(0, &first, false)]);
            put(format!("{name}.bias"), &[(0, &first, false)]);
        }
        for name in ["cls_token", "pos_embed"] {
            put(name.into(), &[(2, &first, false)]);
        }
        for leaf in ["weight", "bias"] {
            put(format!("norm.{leaf}"), &[(0, &last, false)]);
        }
        put(format!("{}.weight", from.head()), &[(1, &last, true)]);
        for layer in 0..from.depth() {
            let (before, after) = (from.layer(layer), to.layer(layer));
            let stream = Channels::new(before.embed_dim, after.embed_dim);
            let hidden = Channels::new(before.mlp_hidden_dim, after.mlp_hidden_dim);
            let block = from.block(layer);
            for name in ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"] {
                put(format!("{block}.{name}"), &[(0, &stream, false)]);
            }
            put(format!("{block}.attn.qkv.weight"), &[(1, &stream, true)]);
            put(format!("{block}.attn.proj.weight"), &[(0, &stream, false)]);
            put(format!("{block}.attn.proj.bias"), &[(0, &stream, false)]);
            put(format!("{block}.mlp.fc1.weight"), &[(0, &hidden, false), (1, &stream, true)]);
            put(format!("{block}.mlp.fc1.bias"), &[(0, &hidden, false)]);
            put(format!("{block}.mlp.fc2.weight"), &[(0, &stream, false), (1, &hidden, true)]);
            put(format!("{block}.mlp.fc2.bias"), &[(0, &stream, false)]);
        }
        if let (ModelConfig::Swin(from), ModelConfig::Swin(to)) = (from, to) {
            for stage in 1..from.num_stages() {
                let four = Channels::new(from.stage_dim(stage - 1), to.stage_dim(stage - 1)).four();
                let stream = Channels::new(from.stage_dim(stage), to.stage_dim(stage));
                let name = |name: &str| format!("layers.{stage}.downsample.{name}");
                put(name("norm.weight"), &[(0, &four, false)]);
                put(name("norm.bias"), &[(0, &four, false)]);
                put(name("reduction.weight"), &[(0, &stream, false), (1, &four, true)]);
            }
        }
        Self { uses }
    }

    /// The parameters in their new widths.
    pub(crate) fn resize(&self, parameters: StateDict) -> StateDict {
        if self.uses.is_empty() {
            return parameters;
        }
        let resized = parameters.into_iter().map(|(name, tensor)| {
            let uses = self.uses.get(&name).map_or(&[][..], Vec::as_slice);
            let tensor = uses.iter().fold(tensor, resize_axis);
            (name, tensor)
        });
        resized.collect()
    }

    /// Scalars of a parameter, of that shape before, that are taken at least once.
    pub(crate) fn scalars_used(&self, name: &str, shape: &[usize]) -> usize {
        let mut taken = shape.to_vec();
        for of in self.uses.get(name).into_iter().flatten() {
            taken[of.axis] = of.channels.distinct();
        }
        taken.iter().product()
    }
}

fn resize_axis(tensor: HostTensor, of: &Use) -> HostTensor {
    let HostTensor { mut shape, values } = tensor;
    let Channels { sources, from } = &of.channels;
    assert_eq!(shape[of.axis], *from, "the parameters are those of the shape before");
    let inner: usize = shape[of.axis + 1..].iter().product();
    let copies = of.channels.copies();
    let mut resized = Vec::with_capacity(values.len() / from * sources.len());
    for outer in values.chunks_exact(from * inner) {
        for (source, copies) in sources.iter().zip(&copies) {
            let part = &outer[source * inner..(source + 1) * inner];
            match copies {
                2.. if of.reads => resized.extend(part.iter().map(|x| x / *copies as f32)),
                _ => resized.extend_from_slice(part),
            }
        }
    }
    shape[of.axis] = sources.len();
    HostTensor::new(shape, resized)
}
