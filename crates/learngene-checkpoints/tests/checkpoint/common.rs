//! What the tests of checkpoints share.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use learngene_models::{
    HostTensor, ModelConfig, StateDict, VitConfig,
    checkpoint::{self, Checkpoint, ReadOptions},
};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};

/// A case under `tests/golden` of the repository.
#[derive(Clone, Copy, Debug)]
pub struct Golden {
    pub case: &'static str,
    /// What neither shapes nor a configuration tell of these small models: a ViT's heads, a Swin's
    /// images.
    num_heads: Option<usize>,
    image_size: Option<usize>,
}

pub const TINY: Golden = vit("vit_tiny_golden", 3);
pub const NARROW_MLP: Golden = vit("vit_narrow_mlp_golden", 4);
pub const LAYER_SCALE: Golden = vit("vit_layer_scale_golden", 3);
pub const SWIN: Golden = Golden { case: "swin_tiny_golden", num_heads: None, image_size: Some(32) };

const fn vit(case: &'static str, num_heads: usize) -> Golden {
    Golden { case, num_heads: Some(num_heads), image_size: None }
}

impl Golden {
    pub fn path(self, file: &str) -> PathBuf {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
        golden.join(self.case).join(file)
    }

    pub fn options(self) -> ReadOptions {
        let num_heads = self.num_heads.map(|heads| vec![heads]);
        ReadOptions { num_heads, image_size: self.image_size, ..ReadOptions::default() }
    }

    pub fn read(self, file: &str) -> Checkpoint {
        checkpoint::read(&self.path(file), &self.options()).expect("the fixture is a checkpoint")
    }

    pub fn tensors(self, file: &str) -> Tensors {
        Tensors::of(&self.path(file))
    }
}

/// Of a checkpoint that is a ViT's.
pub fn vit_config(config: ModelConfig) -> VitConfig {
    match config {
        ModelConfig::Vit(vit) => vit,
        ModelConfig::Swin(_) => panic!("wanted a ViT, found {config:?}"),
    }
}

/// Parameters of zeros.
pub fn zeros(config: &ModelConfig) -> StateDict {
    let shapes = config.parameter_shapes().into_iter();
    let zeros = |shape: Vec<usize>| vec![0.0; shape.iter().product()];
    shapes.map(|(name, shape)| (name, HostTensor::new(shape.clone(), zeros(shape)))).collect()
}

/// The tensors of a safetensors file, to be changed and written elsewhere.
#[derive(Clone, Default)]
pub struct Tensors(pub BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>);

impl Tensors {
    pub fn of(path: &Path) -> Self {
        let file = fs::read(path).expect("the fixture is in the repository");
        let tensors = SafeTensors::deserialize(&file).expect("the fixture is whole");
        let owned =
            |tensor: TensorView| (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec());
        Self(tensors.tensors().into_iter().map(|(name, tensor)| (name, owned(tensor))).collect())
    }

    /// A file of zeros in timm's names, without any metadata.
    pub fn zeros(config: &ModelConfig) -> Self {
        let shapes = config.parameter_shapes();
        shapes.iter().fold(Self::default(), |all, (name, shape)| all.with_zeros(name, shape))
    }

    /// The same names with other spelling, which may drop some.
    pub fn renamed(self, rename: impl Fn(String) -> Option<String>) -> Self {
        Self(
            self.0.into_iter().filter_map(|(name, tensor)| Some((rename(name)?, tensor))).collect(),
        )
    }

    pub fn with_zeros(mut self, name: &str, shape: &[usize]) -> Self {
        let bytes = vec![0; 4 * shape.iter().product::<usize>()];
        self.0.insert(name.into(), (Dtype::F32, shape.to_vec(), bytes));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name).expect("the fixture has this tensor");
        self
    }

    pub fn f32(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let (dtype, shape, bytes) = &self.0[name];
        assert_eq!(*dtype, Dtype::F32, "{name}");
        let value = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        (shape.clone(), bytes.chunks_exact(4).map(value).collect())
    }

    pub fn save(&self, folder: &tempfile::TempDir) -> PathBuf {
        let views = self.0.iter().map(|(name, (dtype, shape, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name.clone(), view.expect("the bytes are as many as the shape asks for"))
        });
        let path = folder.path().join("model.safetensors");
        fs::write(&path, serialize(views, None).expect("a valid file")).expect("a writable folder");
        path
    }
}

/// The file is refused, and the message holds all of these.
pub fn refused(path: &Path, options: &ReadOptions, wanted: &[&str]) {
    let error = checkpoint::read(path, options).expect_err("the file is at fault").to_string();
    let fragments = wanted.iter();
    let absent: Vec<_> = fragments.filter(|fragment| !error.contains(**fragment)).collect();
    assert!(absent.is_empty(), "{error:?} lacks {absent:?}");
}

pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Largest difference between two equally long lists; infinite where either is not a number.
pub fn largest_gap(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let gaps = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    gaps.map(|gap| if gap.is_nan() { f32::INFINITY } else { gap }).fold(0.0, f32::max)
}
