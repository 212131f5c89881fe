//! The shape of the model in a file: from the configuration beside the tensors, and from the shapes
//! of the tensors for what it does not say.

mod sizes;
mod swin;
mod vit;
mod windows;

use std::path::Path;

use learngene_shape::{Family, Shape, Swin, Vit};
use learngene_tensors::{Error, Result};

use self::sizes::Sizes;
use crate::{
    ReadOptions,
    container::Container,
    names::Names,
    sidecar::{Fact, Sidecar},
};

pub(crate) use swin::LAYER_NORM_EPS as SWIN_LAYER_NORM_EPS;

/// All that is known of a checkpoint but its tensors.
pub(crate) struct Context<'a> {
    pub path: &'a Path,
    pub options: &'a ReadOptions,
    pub names: Names,
    /// Its header, or else a config.json beside the file.
    pub sidecar: Option<&'a Sidecar>,
    /// The preset that the caller names.
    pub preset: Option<&'a Sidecar>,
}

/// The shape of a model of one family, from the sizes of its tensors. Adds to the notes what it had
/// to assume.
type Infer = fn(&Context, Sizes, &mut Vec<String>) -> Result<Shape>;

const FAMILIES: [(&str, Infer); 2] = [(Vit::KEY, vit::shape), (Swin::KEY, swin::shape)];

impl Context<'_> {
    /// The shape of the model in a file; the masks of shifted windows are each of a stage and for so
    /// many windows.
    ///
    /// # Errors
    /// Tensors that would give a size and are missing or have another number of axes; a configuration
    /// that contradicts the tensors; what nothing says; a shape that no model can have.
    pub fn shape(
        &self,
        container: &Container,
        masks: &[(usize, usize)],
        notes: &mut Vec<String>,
    ) -> Result<Shape> {
        let family = self.names.family();
        let preset = self.preset.map_or(Ok(()), |preset| preset.check_family(family));
        preset.map_err(|error| self.in_file(error))?;
        if let Some(sidecar) = self.sidecar {
            sidecar.check_family(family)?;
            sidecar.layer_norm_eps()?;
        }
        let infer = FAMILIES.iter().find(|(name, _)| family == *name);
        let (_, infer) = infer.expect("names are of one of the families");
        infer(self, Sizes::new(self.names, container, masks), notes)
    }

    /// What the caller or the file says of the shape, the nearest first.
    fn sidecars(&self) -> impl Iterator<Item = &Sidecar> {
        self.preset.into_iter().chain(self.sidecar)
    }

    /// Refuses configurations that contradict what tensors say.
    fn agree(&self, facts: &[Fact], depths: &[usize]) -> Result<()> {
        let tensors = self.tensors();
        self.sidecars().try_for_each(|sidecar| sidecar.agree(facts, depths, &tensors))
    }

    /// Refuses a configuration of another number of classes. That of a backbone may still count the
    /// classes of the model that it was taken from.
    fn agree_on_classes(&self, num_classes: usize) -> Result<()> {
        let Some(sidecar) = self.sidecar.filter(|_| num_classes > 0) else { return Ok(()) };
        sidecar.agree(&[(&["num_classes"], &[num_classes])], &[], &self.tensors())?;
        match sidecar.num_labels() {
            Some(labels) if labels != num_classes => {
                let expected = format!("{num_classes} to match {}", self.tensors());
                Err(sidecar.unfit("id2label", format!("{labels} names"), expected))
            }
            _ => Ok(()),
        }
    }

    /// LayerNorm's epsilon.
    fn layer_norm_eps(&self, default: f64) -> Result<f64> {
        let of_sidecar = self.sidecar.map(Sidecar::layer_norm_eps).transpose()?.flatten();
        Ok(self.options.layer_norm_eps.or(of_sidecar).unwrap_or(default))
    }

    /// What to call the tensors in an error.
    fn tensors(&self) -> String {
        format!("the tensors in {}", self.path.display())
    }

    fn in_file(&self, error: Error) -> Error {
        error.in_file(self.path)
    }
}
