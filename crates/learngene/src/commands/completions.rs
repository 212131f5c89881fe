//! `learngene completions`

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
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "learngene", &mut script);
    super::say(String::from_utf8_lossy(&script))
}
