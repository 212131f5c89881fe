//! Prints the manifest of a learngene: a user of `learngene-format` alone.

use std::{env, error::Error};

use learngene_format::Learngene;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: format-only X.learngene")?;
    let learngene = Learngene::read(&path)?;
    println!("{}", serde_json::to_string_pretty(learngene.manifest())?);
    Ok(())
}
