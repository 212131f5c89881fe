//! The forward pass by its equations, in f64: what models compute, without a model.

use learngene_shape::{FfnKind, LayerShape, Place, Shape};
use learngene_tensors::{StateDict, Tensor};

use crate::Descendant;

/// `[token][channel]`
type Tokens = Vec<Vec<f64>>;

/// Logits of one image that is the same in every test.
pub(super) fn logits(shape: &Shape, parameters: &StateDict) -> Vec<f64> {
    let model = Forward { shape, parameters };
    let mut tokens = model.embed();
    for (layer, of) in shape.layers().iter().enumerate() {
        if layer > 0 && of.stage > shape.layer(layer - 1).stage {
            tokens = model.merge(of.stage, &tokens, 2 * of.field.resolution);
        }
        let name = &shape.layer_parameters(layer)[0].name;
        tokens = model.layer(*of, name.strip_suffix(".norm1.weight").expect("a norm"), tokens);
    }
    let tokens = model.norm("norm", &tokens);
    let prefix = shape.layer(0).field.prefix;
    let pooled = match prefix {
        0 => (0..tokens[0].len())
            .map(|c| tokens.iter().map(|token| token[c]).sum::<f64>() / tokens.len() as f64)
            .collect(),
        _ => tokens[0].clone(),
    };
    let classifier = &shape.classifier_parameters()[0].name;
    let classifier = classifier.strip_suffix(".weight").expect("a weight");
    model.linear(classifier, &[pooled]).remove(0)
}

/// Largest difference between a descendant's logits and others.
pub(super) fn distance(descendant: &Descendant, expected: &[f64]) -> f64 {
    let found = logits(&descendant.shape, &descendant.parameters);
    assert_eq!(found.len(), expected.len(), "as many classes");
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

struct Forward<'a> {
    shape: &'a Shape,
    parameters: &'a StateDict,
}

impl Forward<'_> {
    fn find(&self, name: &str) -> Option<&Tensor> {
        self.parameters.get(name)
    }

    fn get(&self, name: String) -> &Tensor {
        self.find(&name).expect(&name)
    }

    fn linear(&self, name: &str, tokens: &[Vec<f64>]) -> Tokens {
        let weight = self.get(format!("{name}.weight"));
        let bias = self.find(&format!("{name}.bias"));
        let rows: Vec<&[f32]> =
            weight.values.chunks_exact(weight.values.len() / weight.shape[0]).collect();
        let row = |token: &Vec<f64>, (i, row): (usize, &&[f32])| {
            let bias = bias.map_or(0.0, |bias| f64::from(bias.values[i]));
            bias + row.iter().zip(token).map(|(w, x)| f64::from(*w) * x).sum::<f64>()
        };
        tokens.iter().map(|t| rows.iter().enumerate().map(|r| row(t, r)).collect()).collect()
    }

    fn norm(&self, name: &str, tokens: &[Vec<f64>]) -> Tokens {
        let (weight, bias) = (self.get(format!("{name}.weight")), self.get(format!("{name}.bias")));
        let of_token = |token: &Vec<f64>| {
            let count = token.len() as f64;
            let mean = token.iter().sum::<f64>() / count;
            let variance = token.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            let affine = weight.values.iter().zip(&bias.values);
            let normed = token.iter().map(|x| (x - mean) / (variance + 1e-6).sqrt());
            normed.zip(affine).map(|(x, (w, b))| x * f64::from(*w) + f64::from(*b)).collect()
        };
        tokens.iter().map(of_token).collect()
    }

    /// Patches of an image of cosines, `[channel, row, column]` of each in one vector.
    fn embed(&self) -> Tokens {
        let (patch, grid) = (self.shape.image().patch_size, self.shape.layer(0).field.resolution);
        let pixel = |place: usize, i: usize| {
            let (row, column) =
                (place / grid * patch + i / patch % patch, place % grid * patch + i % patch);
            ((i / patch / patch) as f64 + 0.37 * row as f64 - 0.61 * column as f64).cos()
        };
        let patches =
            (0..grid * grid).map(|place| (0..3 * patch * patch).map(|i| pixel(place, i)).collect());
        let mut tokens = self.linear("patch_embed.proj", &patches.collect::<Tokens>());
        if self.find("patch_embed.norm.weight").is_some() {
            tokens = self.norm("patch_embed.norm", &tokens);
        }
        if let (Some(class), Some(positions)) = (self.find("cls_token"), self.find("pos_embed")) {
            let class: Vec<f64> = class.values.iter().map(|x| f64::from(*x)).collect();
            let positions = positions.values.chunks_exact(class.len());
            let tokens = std::iter::once(class).chain(tokens).zip(positions);
            return tokens
                .map(|(t, p)| t.iter().zip(p).map(|(t, p)| t + f64::from(*p)).collect())
                .collect();
        }
        tokens
    }

    /// Four neighbours side by side, normed and reduced.
    fn merge(&self, stage: usize, tokens: &[Vec<f64>], side: usize) -> Tokens {
        let merged = |place: usize| {
            let (row, column) = (place / (side / 2) * 2, place % (side / 2) * 2);
            [(0, 0), (1, 0), (0, 1), (1, 1)]
                .map(|(r, c)| &tokens[(row + r) * side + column + c][..])
                .concat()
        };
        let merged: Tokens = (0..side * side / 4).map(merged).collect();
        let name = format!("layers.{stage}.downsample");
        assert!(self.shape.parameters().iter().any(|p| p.place == Place::Merging { stage }));
        self.linear(&format!("{name}.reduction"), &self.norm(&format!("{name}.norm"), &merged))
    }

    fn layer(&self, of: LayerShape, name: &str, tokens: Tokens) -> Tokens {
        let attended = self.attention(of, name, &self.norm(&format!("{name}.norm1"), &tokens));
        let tokens = add(tokens, attended);
        let hidden =
            self.linear(&format!("{name}.mlp.fc1"), &self.norm(&format!("{name}.norm2"), &tokens));
        let activated = |hidden: Vec<f64>| match of.ffn.kind {
            FfnKind::Mlp => hidden.into_iter().map(|x| x * sigmoid(1.702 * x)).collect(),
            FfnKind::SwiGlu => {
                let (gate, values) = hidden.split_at(of.ffn.hidden_dim);
                gate.iter().zip(values).map(|(a, b)| a * sigmoid(*a) * b).collect()
            }
        };
        let hidden: Tokens = hidden.into_iter().map(activated).collect();
        add(tokens, self.linear(&format!("{name}.mlp.fc2"), &hidden))
    }

    fn attention(&self, of: LayerShape, name: &str, tokens: &[Vec<f64>]) -> Tokens {
        let (field, heads) = (of.field, of.heads);
        let qkv = self.linear(&format!("{name}.attn.qkv"), tokens);
        let table = self.find(&format!("{name}.attn.relative_position_bias_table"));
        let (side, keys) = (field.window, field.keys());
        let pairs = field.pairs();
        let mut output = vec![vec![0.0; heads.attention_dim()]; tokens.len()];
        for window in 0..field.num_windows() {
            let token = |key: usize| match key.checked_sub(field.prefix) {
                None => key,
                Some(i) => {
                    let windows = field.resolution / side;
                    let row = (window / windows * side + i / side + field.shift) % field.resolution;
                    let column =
                        (window % windows * side + i % side + field.shift) % field.resolution;
                    field.prefix + row * field.resolution + column
                }
            };
            for head in 0..heads.num_heads {
                let part = |role: usize, key: usize| {
                    let start = (role * heads.num_heads + head) * heads.head_dim;
                    &qkv[token(key)][start..start + heads.head_dim]
                };
                for query in 0..keys {
                    let score = |key: usize| {
                        let bias = table.map_or(0.0, |table| {
                            let row = query / side + side - 1 - key / side;
                            let column = query % side + side - 1 - key % side;
                            f64::from(
                                table.values
                                    [(row * (2 * side - 1) + column) * heads.num_heads + head],
                            )
                        });
                        let apart = pairs
                            .as_ref()
                            .is_some_and(|pairs| !pairs[(window * keys + query) * keys + key]);
                        let product: f64 =
                            part(0, query).iter().zip(part(1, key)).map(|(q, k)| q * k).sum();
                        product / (heads.head_dim as f64).sqrt() + bias
                            - if apart { 100.0 } else { 0.0 }
                    };
                    let scores: Vec<f64> = (0..keys).map(|key| score(key).exp()).collect();
                    let total: f64 = scores.iter().sum();
                    let place = &mut output[token(query)]
                        [head * heads.head_dim..(head + 1) * heads.head_dim];
                    for (key, weight) in scores.iter().enumerate() {
                        for (sum, value) in place.iter_mut().zip(part(2, key)) {
                            *sum += weight / total * value;
                        }
                    }
                }
            }
        }
        self.linear(&format!("{name}.attn.proj"), &output)
    }
}

/// A smooth step: GELU's approximation by it keeps every law that GELU keeps.
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn add(tokens: Tokens, branch: Tokens) -> Tokens {
    let sum = |(a, b): (Vec<f64>, Vec<f64>)| a.iter().zip(&b).map(|(a, b)| a + b).collect();
    tokens.into_iter().zip(branch).map(sum).collect()
}
