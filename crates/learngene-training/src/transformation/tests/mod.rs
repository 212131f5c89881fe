mod formulas;
mod heads;
mod identity;
mod learning;
mod support;
