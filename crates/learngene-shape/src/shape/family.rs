//! What a family of vision transformers is.

use std::{any::Any, fmt, sync::Arc};

use learngene_tensors::Result;
use serde::{Serialize, de::DeserializeOwned};

use super::Shape;
use crate::{ImageShape, LayerShape, Parameter, Reshape};

/// A model that has a name, and how it is made.
pub type Preset<F> = (&'static str, fn() -> F);

/// A family of vision transformers, as far as it can be described without running one.
///
/// A value is written unchecked; [`Family::shape`] checks it, and all other methods are called on
/// values that [`Family::check`] accepts alone.
pub trait Family:
    Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Name of the family in files: `vit`.
    const KEY: &'static str;

    /// Models that have a name, as timm spells it.
    const PRESETS: &'static [Preset<Self>];

    /// Checks that a model of this shape can exist.
    ///
    /// # Errors
    /// Names the first field that is out of range or contradicts another.
    fn check(&self) -> Result<()>;

    /// The images that the model takes.
    fn image(&self) -> ImageShape;

    /// Number of classes; 0 without a classifier.
    fn num_classes(&self) -> usize;

    /// The transformer layers, through all stages.
    fn layers(&self) -> Vec<LayerShape>;

    /// Every parameter of the model, from the images to the logits. All layers list the same
    /// parameters in the same order; their lengths alone may differ.
    fn parameters(&self) -> Vec<Parameter>;

    /// The same model with other layers, widths, image size or classes. What is absent stays.
    ///
    /// # Errors
    /// A request that the family cannot express.
    fn reshaped(&self, to: &Reshape) -> Result<Self>;

    /// The description as every crate takes it.
    ///
    /// # Errors
    /// Those of [`Family::check`].
    fn shape(self) -> Result<Shape> {
        self.check()?;
        Ok(Shape::new(self))
    }
}

/// A family without its type: what [`Shape`] holds.
pub(crate) trait Erased: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn as_serialize(&self) -> &dyn erased_serde::Serialize;
    fn equals(&self, other: &dyn Erased) -> bool;
    fn key(&self) -> &'static str;
    fn image(&self) -> ImageShape;
    fn num_classes(&self) -> usize;
    fn parameters(&self) -> Vec<Parameter>;
    fn reshaped(&self, to: &Reshape) -> Result<Shape>;
}

/// A description with its family's name before its fields.
#[derive(Debug, Serialize)]
pub(crate) struct Tagged<F> {
    family: &'static str,
    #[serde(flatten)]
    fields: F,
}

impl<F: Family> Tagged<F> {
    pub fn erase(fields: F) -> Arc<dyn Erased> {
        Arc::new(Self { family: F::KEY, fields })
    }
}

impl<F: Family> Erased for Tagged<F> {
    fn as_any(&self) -> &dyn Any {
        &self.fields
    }

    fn as_serialize(&self) -> &dyn erased_serde::Serialize {
        self
    }

    fn equals(&self, other: &dyn Erased) -> bool {
        other.as_any().downcast_ref::<F>() == Some(&self.fields)
    }

    fn key(&self) -> &'static str {
        F::KEY
    }

    fn image(&self) -> ImageShape {
        self.fields.image()
    }

    fn num_classes(&self) -> usize {
        self.fields.num_classes()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.fields.parameters()
    }

    fn reshaped(&self, to: &Reshape) -> Result<Shape> {
        self.fields.reshaped(to)?.shape()
    }
}
