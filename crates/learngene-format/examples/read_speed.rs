//! Writes a learngene of about 200 MB and measures how fast it is opened and checked:
//! `cargo run --release -p learngene-format --example read_speed`.

use std::{collections::BTreeMap, error::Error, fs, time::Instant};

use learngene_format::{
    Architecture, ClusterAlgorithm, Dtype, FfnGroup, LayerClusters, Learngene, Manifest,
    NoisePolicy, Tensor, VitArchitecture,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("large.learngene");

    let started = Instant::now();
    large_learngene()?.write(&path)?;
    println!("made and written in {:.2} s", started.elapsed().as_secs_f64());

    let bytes = fs::metadata(&path)?.len() as f64;
    for _ in 0..3 {
        let started = Instant::now();
        let manifest = Learngene::read_manifest(&path)?;
        let peek = started.elapsed().as_secs_f64();

        let started = Instant::now();
        let learngene = Learngene::read(&path)?;
        let read = started.elapsed().as_secs_f64();
        assert_eq!(learngene.manifest(), &manifest);

        println!(
            "{:.0} MB: manifest in {:.2} ms, all read and checked in {:.0} ms = {:.2} GB/s",
            bytes / 1e6,
            1e3 * peek,
            1e3 * read,
            bytes / 1e9 / read
        );
    }
    Ok(())
}

/// The shape of DeiT-B with 7 of 12 heads kept in each layer.
fn large_learngene() -> Result<Learngene, Box<dyn Error>> {
    let mut manifest: Manifest = serde_json::from_str(include_str!("../tests/data/tiny.json"))?;
    manifest.architecture = Architecture::Vit(VitArchitecture {
        image_size: 224,
        patch_size: 16,
        in_channels: 3,
        embed_dim: 768,
        depth: 12,
        num_heads: vec![12; 12],
        head_dim: 64,
        mlp_hidden_dim: 3072,
        num_classes: 1000,
        layer_norm_eps: 1e-6,
    });
    manifest.clustering.algorithm = ClusterAlgorithm::Dbscan {
        eps: vec![10.0; 12],
        min_points: 1,
        noise: NoisePolicy::Singleton,
    };
    manifest.probe.mean_attention_distance = vec![vec![50.0; 12]; 12];
    manifest.probe.std = vec![vec![None; 12]; 12];
    let layer = LayerClusters {
        labels: [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6].map(Some).to_vec(),
        sizes: vec![6, 1, 1, 1, 1, 1, 1],
        representatives: vec![0, 6, 7, 8, 9, 10, 11],
        clusters: (0..7).collect(),
    };
    manifest.layers = vec![layer; 12];
    manifest.ffn.groups =
        (0..12).map(|layer| FfnGroup { layers: vec![layer], representative: layer }).collect();

    let mut tensors = BTreeMap::new();
    for (name, shape) in manifest.expected_tensors()? {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| i as f32).collect();
        tensors.insert(name, Tensor::from_f32(Dtype::F32, shape, &values)?);
    }
    Ok(Learngene::new(manifest, tensors)?)
}
