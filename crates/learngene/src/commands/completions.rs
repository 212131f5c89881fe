//! `learngene completions`

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

/// Prints a script that completes commands and options in a shell.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene completions bash > ~/.local/share/bash-completion/completions/learngene"
)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    clap_complete::generate(args.shell, &mut super::Cli::command(), "learngene", &mut io::stdout());
    Ok(())
}
