//! What the tests of checkpoints share.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use learngene_checkpoints::{Checkpoint, Dialect, ReadOptions, read, write};
use learngene_shape::{Family, Shape};
use learngene_tensors::{Dtype, StateDict, Tensor};
use safetensors::{SafeTensors, serialize, tensor::TensorView};
use tempfile::TempDir;

/// A case under `tests/golden` of the repository.
#[derive(Clone, Copy, Debug)]
pub struct Golden {
    pub case: &'static str,
    /// What neither shapes nor a configuration give of these small models: a ViT's heads, a Swin's
    /// images.
    num_heads: Option<usize>,
    image_size: Option<usize>,
}

pub const TINY: Golden = vit("vit_tiny_golden", 3);
pub const NARROW_MLP: Golden = vit("vit_narrow_mlp_golden", 4);
pub const LAYER_SCALE: Golden = vit("vit_layer_scale_golden", 3);
pub const PRUNED: Golden = vit("vit_pruned_golden", 3);
pub const SWIGLU: Golden = vit("vit_swiglu_golden", 3);
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
        read(&self.path(file), &self.options()).expect("the fixture is a checkpoint")
    }

    pub fn tensors(self, file: &str) -> Tensors {
        Tensors::of(&self.path(file))
    }
}

pub fn shape(family: impl Family) -> Shape {
    family.shape().expect("a possible model")
}

/// Parameters of zeros.
pub fn zeros(shape: &Shape) -> StateDict {
    let shapes = shape.parameter_shapes().into_iter();
    shapes.map(|(name, shape)| (name, Tensor::zeros(shape))).collect()
}

/// Writes a model of zeros.
pub fn write_zeros(path: &Path, shape: &Shape, dialect: Dialect) -> Result<(), String> {
    let written = write(path, shape, &zeros(shape), dialect, Dtype::F16, None);
    written.map_err(|error| error.to_string())
}

/// Reads a file of zeros of this shape, without any metadata.
pub fn read_zeros(shape: &Shape, options: &ReadOptions) -> Checkpoint {
    let folder = folder();
    let path = Tensors::zeros(shape).save(&folder);
    read(&path, options).expect("the shapes are those of a model")
}

/// Reads a golden model beside files of these names and contents.
pub fn read_beside(
    golden: Golden,
    files: &[(&str, &str)],
    options: &ReadOptions,
) -> Result<Checkpoint, String> {
    let folder = folder();
    for (name, json) in files {
        fs::write(folder.path().join(name), json).expect("the folder is writable");
    }
    let path = golden.tensors("timm.safetensors").save(&folder);
    read(&path, options).map_err(|error| error.to_string())
}

/// The tensors of a safetensors file, to be changed and written elsewhere.
#[derive(Clone, Default)]
pub struct Tensors(pub BTreeMap<String, (safetensors::Dtype, Vec<usize>, Vec<u8>)>);

impl Tensors {
    pub fn of(path: &Path) -> Self {
        let file = fs::read(path).expect("the fixture is in the repository");
        let tensors = SafeTensors::deserialize(&file).expect("the fixture is whole");
        let owned =
            |tensor: TensorView| (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec());
        Self(tensors.tensors().into_iter().map(|(name, tensor)| (name, owned(tensor))).collect())
    }

    /// A file of zeros in timm's names, without any metadata.
    pub fn zeros(shape: &Shape) -> Self {
        let shapes = shape.parameter_shapes();
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
        self.0.insert(name.into(), (safetensors::Dtype::F32, shape.to_vec(), bytes));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name).expect("the fixture has this tensor");
        self
    }

    pub fn f32(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let (dtype, shape, bytes) = &self.0[name];
        assert_eq!(*dtype, safetensors::Dtype::F32, "{name}");
        (shape.clone(), Dtype::F32.decode(bytes))
    }

    pub fn save(&self, folder: &TempDir) -> PathBuf {
        let views = self.0.iter().map(|(name, (dtype, shape, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name.clone(), view.expect("the bytes are as many as the shape asks for"))
        });
        let path = folder.path().join("model.safetensors");
        fs::write(&path, serialize(views, None).expect("a valid file")).expect("a writable folder");
        path
    }
}

/// The message with which a file is refused holds all of these.
#[track_caller]
pub fn refused(path: &Path, options: &ReadOptions, wanted: &[&str]) {
    holds(&read(path, options).expect_err("the file is at fault").to_string(), wanted);
}

/// A text holds all of these.
#[track_caller]
pub fn holds(text: &str, wanted: &[&str]) {
    let absent: Vec<_> = wanted.iter().filter(|fragment| !text.contains(**fragment)).collect();
    assert!(absent.is_empty(), "{text:?} lacks {absent:?}");
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Largest difference between two equally long lists; infinite where either is not a number.
pub fn largest_gap(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let gaps = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    gaps.map(|gap| if gap.is_nan() { f32::INFINITY } else { gap }).fold(0.0, f32::max)
}
