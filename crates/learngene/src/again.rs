//! Arguments that can be given to another command.

use clap::{ArgMatches, Args, Command, FromArgMatches, Id, parser::ValueSource};

/// Arguments, and those words of them that were on the command line.
pub struct Again<A> {
    pub args: A,
    /// `--limit 512` and the like, none of what was left out.
    pub words: Vec<String>,
}

impl<A: Args> FromArgMatches for Again<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut words = Vec::new();
        for arg in A::augment_args(Command::new("")).get_arguments() {
            let id = arg.get_id().as_str();
            let is_given = matches.value_source(id) == Some(ValueSource::CommandLine);
            if let Some(long) = arg.get_long().filter(|_| is_given) {
                // Those of a list were parted.
                let values = matches.get_raw(id).into_iter().flatten();
                let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
                words.extend([format!("--{long}"), values.join(",")]);
            }
        }
        Ok(Self { args: A::from_arg_matches(matches)?, words })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<A: Args> Args for Again<A> {
    fn group_id() -> Option<Id> {
        A::group_id()
    }

    fn augment_args(command: Command) -> Command {
        A::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        A::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ancestry::ProbeArgs, args::CheckpointArgs};

    fn words<A: Args>(line: &str) -> Vec<String> {
        let command = Again::<A>::augment_args(Command::new("x").no_binary_name(true));
        let matches = command.get_matches_from(line.split(' '));
        Again::<A>::from_arg_matches(&matches).expect("clap has checked them").words
    }

    #[test]
    fn what_was_given_is_given_again() {
        for line in ["--checkpoint a.pth", "--checkpoint hf:a/b --arch deit_tiny --num-heads 3,3,4"]
        {
            assert_eq!(words::<CheckpointArgs>(line).join(" "), line);
        }
        let line = "--images src --limit 3 --split test --batch-size 2 --convention published \
                    --bad-images skip:2 --image-size 32 --crop-pct 1 --mean 0,-1,.5 --std 1,1,2 \
                    --device flex";
        assert_eq!(words::<ProbeArgs>(line).join(" "), line);
        let flags = ProbeArgs::augment_args(Command::new("x"));
        for arg in flags.get_arguments() {
            let long = format!("--{} ", arg.get_long().expect("all have names"));
            assert!(line.contains(&long), "{long}");
        }
    }
}
