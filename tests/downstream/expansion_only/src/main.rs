//! Makes a descendant of half the depth from a learngene alone: a user of `learngene-expansion` who
//! never saw the ancestor.

use std::{env, error::Error};

use burn::tensor::Device;
use learngene_expansion::{DescendantConfig, expand};
use learngene_format::Learngene;
use learngene_models::count_parameters;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: expansion-only X.learngene")?;
    let learngene = Learngene::read(&path)?;

    let depth = learngene.manifest().layers.len().div_ceil(2);
    let wanted = DescendantConfig { depth: depth.into(), ..DescendantConfig::default() };
    let descendant = expand(&learngene, &wanted)?;

    let model = descendant.config.load(&descendant.parameters, &Device::flex())?;
    println!("{} layers, {} parameters", model.config().depth(), count_parameters(&model.config()));
    Ok(())
}
