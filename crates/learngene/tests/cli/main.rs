//! The program as a user runs it: a command line in, files, messages and an exit code out.

mod against;
mod attention;
mod bad_checkpoint;
mod bad_descendant;
mod bad_images;
mod bad_learngene;
mod bad_numbers;
#[cfg(target_os = "linux")]
mod bad_output;
mod bad_training;
mod baseline;
mod bench;
mod choices;
mod data;
mod fit;
mod forward;
mod frozen;
mod hub;
mod json;
mod methods;
mod path;
mod predict;
mod preprocessing;
#[cfg(feature = "remote")]
mod remote;
mod repeat;
mod report;
mod swin;
mod teacher;
mod tensors;
mod usage;
mod vits14;
mod workbench;
