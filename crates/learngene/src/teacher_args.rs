//! Who teaches a model beside the labels.

use anyhow::Context;
use clap::Args;
use learngene_datasets::{CheckedPreprocess, Dataset};
use learngene_expansion::{Descendant, DescendantConfig, expand};
use learngene_format::Learngene;
use learngene_models::{Classifier, Model};
use learngene_training::Teacher;

use crate::{
    args::{CheckpointArgs, number, whole_number},
    hub::Source,
};

/// A teacher, and how much is learnt from it.
#[derive(Args)]
#[command(next_help_heading = "Teacher")]
pub struct TeacherArgs {
    /// Model whose tokens after the final norm are learnt too, such as the ancestor: a checkpoint, the folder of a run, or
    /// a learngene, which teaches by the largest model that it holds. Where its classes are called as those
    /// of the images, their probabilities are learnt as well.
    #[arg(long, value_name = "MODEL")]
    teacher: Option<Source>,
    /// Factor of the loss by the teacher [default: 10].
    #[arg(long, value_name = "FACTOR", value_parser = number::<f64>, requires = "teacher")]
    pub teacher_weight: Option<f64>,
    /// Epochs, the first of --epochs, in which the teacher alone is learnt from, without labels.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number::<usize>,
        requires = "teacher")]
    pub label_free: usize,
}

impl TeacherArgs {
    pub fn is_given(&self) -> bool {
        self.teacher.is_some()
    }

    /// The teacher of a model for these images, where it is.
    pub fn teacher(
        &self,
        student: &Model,
        images: &dyn Dataset,
        preprocess: &CheckedPreprocess,
    ) -> anyhow::Result<Option<Teacher>> {
        let (image_size, device) = (student.image_size(), &student.device());
        let Some(source) = &self.teacher else { return Ok(None) };
        let path = source.path()?;
        let (model, label_names) = if Learngene::is_one(path) {
            let config =
                DescendantConfig { image_size: Some(image_size), ..DescendantConfig::default() };
            let Descendant { shape, parameters, .. } = expand(&Learngene::read(path)?, &config)?;
            (Model::load(&shape, &parameters, device)?, Vec::new())
        } else {
            let args = CheckpointArgs { checkpoint: source.clone(), arch: None, num_heads: None };
            let read = args.read(Some(image_size), None).context("--teacher cannot be read")?;
            (Model::load(&read.shape, &read.parameters, device)?, read.pretrained_cfg.label_names)
        };
        Ok(Some(Teacher::new(model, &label_names, student, images, preprocess)?))
    }
}
