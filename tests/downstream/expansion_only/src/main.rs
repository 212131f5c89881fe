//! Makes a descendant of half the depth from a learngene alone: a user of `learngene-expansion` who
//! never saw the ancestor.

use std::{env, error::Error};

use learngene_expansion::{DescendantConfig, expand};
use learngene_format::Learngene;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: expansion-only X.learngene")?;
    let learngene = Learngene::read(&path)?;

    let depth = learngene.manifest().ancestor.shape.depth().div_ceil(2);
    let config = DescendantConfig { depth: depth.into(), ..DescendantConfig::default() };
    let descendant = expand(&learngene, &config)?;

    let shape = &descendant.shape;
    println!("{} layers, {} parameters", shape.depth(), shape.count_parameters());
    Ok(())
}
