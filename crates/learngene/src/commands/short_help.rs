//! What `-h` shows; `--help` shows all.

use clap::Command;

/// Options that most people need, by the name of the command; at most ten each.
const SHOWN: [(&str, &str); 9] = [
    ("fit", "data max_params max_macs max_latency dry_run epochs lr no_teacher device out"),
    ("condense", "images limit max_size store one_size paper image_size device out json"),
    (
        "expand",
        "depth heads max_params max_macs max_latency num_classes image_size format out json",
    ),
    ("train", "data teacher recipe epochs batch_size lr image_size devices out json"),
    ("eval", "data image_size batch_size frozen pool device json"),
    ("predict", "top csv json features image_size device"),
    ("inspect", "against attention layers png out svg json"),
    ("export", "format dtype image_size out json"),
    ("bench", "workloads shapes iterations device json"),
];

/// Hides what few people need from the short help of every command.
pub fn shorten(command: Command) -> Command {
    command.mut_subcommands(|command| {
        let shown = SHOWN.iter().find(|(name, _)| *name == command.get_name());
        let Some((_, shown)) = shown else { return command };
        command.mut_args(|arg| {
            let is_shown = shown.split(' ').any(|name| name == arg.get_id().as_str());
            if is_shown || arg.is_positional() { arg } else { arg.hide_short_help(true) }
        })
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::commands::Cli;

    #[test]
    fn short_help_has_at_most_ten_options_and_all_that_are_required() {
        let command = shorten(Cli::command());
        for (name, shown) in SHOWN {
            let command = command.find_subcommand(name).expect("a command");
            let ids: Vec<&str> = shown.split(' ').collect();
            assert!(ids.len() <= 10, "{name}");
            for id in &ids {
                assert!(command.get_arguments().any(|arg| arg.get_id() == *id), "{name}: {id}");
            }
            let required = command.get_arguments().filter(|arg| arg.is_required_set());
            for arg in required.filter(|arg| !arg.is_positional()) {
                assert!(ids.contains(&arg.get_id().as_str()), "{name}: {arg}");
            }
        }
        for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let shown = command.get_opts().filter(|arg| !arg.is_hide_short_help_set());
            let own = shown.filter(|arg| !arg.is_global_set()).count();
            assert!(own <= 10, "{}: {own}", command.get_name());
        }
    }
}
