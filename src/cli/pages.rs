//! `leadgate completions SHELL` and `leadgate man`: what is made of the commands' definition.

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Page;

use super::{Arguments, Failed, said};

/// `leadgate completions`
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell that is to read it
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failed> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "leadgate", &mut script);
        said::whole(&script);
        Ok(())
    }
}

/// `leadgate man`
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Of this command alone, such as `leads replay`
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

impl Man {
    pub(super) fn run(self) -> Result<(), Failed> {
        let mut command = Arguments::command();
        command.build(); // names every command whole: `leadgate leads replay`
        for name in &self.command {
            let found = command.find_subcommand(name).cloned();
            command = found.ok_or_else(|| {
                let known: Vec<_> =
                    command.get_subcommands().map(clap::Command::get_name).collect();
                Failed::Usage(format!("no command {name:?} here; there are: {}", known.join(", ")))
            })?;
        }
        let mut page = Vec::new();
        Page::new(command).render(&mut page).context("the page could not be made")?;
        said::whole(&page);
        Ok(())
    }
}
