//! The command line, read as a list: parse, load the configuration, dispatch.
//!
//! Exit codes: 0 done, 1 failed, 2 bad usage or configuration.

mod admin;
mod catalog;
mod check;
mod export;
mod forget;
mod lanes;
mod leads;
mod moment;
mod pages;
mod presets;
mod progress;
mod replay;
mod said;
mod sandbox;
mod send;
mod serve;
mod table;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use secrecy::SecretString;
use url::Url;

use crate::app::ConfigurationFile;
use crate::config::{self, Config, Environment, Faults, Loaded, ProcessEnvironment};
use crate::preset;

/// A webhook-to-lead gateway: forms and ad platforms in, exactly one CareSoft lead out.
#[derive(Debug, Parser)]
#[command(name = "leadgate", version)]
struct Arguments {
    /// The configuration file [default: $LEADGATE_CONFIG, else config/leadgate.toml if present,
    /// else a sandbox that needs none]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Answer in JSON, for machines
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    ///
    /// SIGTERM and SIGINT drain and exit 0, a second one ends it at once. SIGHUP, and a change of the
    /// file, have the configuration read anew; a faulty one is refused and told.
    Serve(serve::Serve),
    /// Validate the configuration: every fault with file, line and key
    Check(check::Check),
    /// Print what CareSoft has: services, groups, agents, statuses, labels, custom fields
    Catalog(catalog::CatalogCommand),
    /// Run the built-in CareSoft simulator alone
    Sandbox(sandbox::Sandbox),
    /// Post a sample to a source
    Send(send::Send),
    /// Look at the presets, and at what one makes of a payload
    Presets(presets::Presets),
    /// Look at the ledger of a running gateway, and replay what is in it
    Leads(leads::Leads),
    /// Erase a person: what was sent in, what it became, what recognises it
    Forget(forget::Forget),
    /// Look at the lanes of a running gateway; stop one, or let it go on
    Lanes(lanes::Lanes),
    /// Print what makes a shell complete these commands
    Completions(pages::Completions),
    /// Print the manual page
    Man(pages::Man),
}

/// Why a command did not do what it was asked.
enum Failed {
    /// Exit code 1.
    Doing(anyhow::Error),
    /// Exit code 2.
    Configuration(Faults),
    /// Exit code 2.
    Usage(String),
    /// Exit code 2; what is wrong was told already.
    Told,
    /// Exit code 1; what was not done was told already.
    ToldUndone,
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Doing(error)
    }
}

impl From<Faults> for Failed {
    fn from(faults: Faults) -> Self {
        Self::Configuration(faults)
    }
}

/// What every command is given.
struct Invocation {
    config: Option<PathBuf>,
    json: bool,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse(); // clap answers bad usage with exit code 2 itself
    let invocation = Invocation { config: arguments.config, json: arguments.json };
    let done = match arguments.command {
        Command::Serve(serve) => serve.run(&invocation),
        Command::Check(check) => check.run(&invocation),
        Command::Catalog(catalog) => catalog.run(&invocation),
        Command::Sandbox(sandbox) => sandbox.run(&invocation),
        Command::Send(send) => send.run(&invocation),
        Command::Presets(presets) => presets.run(&invocation),
        Command::Leads(leads) => leads.run(&invocation),
        Command::Forget(forget) => forget.run(&invocation),
        Command::Lanes(lanes) => lanes.run(&invocation),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    };
    match done {
        Ok(()) if said::is_whole() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(Failed::Doing(error)) => {
            eprintln!("leadgate: {error:#}");
            ExitCode::FAILURE
        }
        Err(Failed::ToldUndone) => ExitCode::FAILURE,
        Err(Failed::Configuration(faults)) => {
            eprintln!("{faults}");
            ExitCode::from(2)
        }
        Err(Failed::Told) => ExitCode::from(2),
        Err(Failed::Usage(problem)) => {
            eprintln!("leadgate: {problem}");
            ExitCode::from(2)
        }
    }
}

/// The file that a command's configuration is in, when there is any.
const DEFAULT_FILE: &str = "config/leadgate.toml";

impl Invocation {
    /// The configuration file: named, or where one is looked for.
    fn config_file(&self) -> Option<PathBuf> {
        let named = self.config.clone();
        named
            .or_else(|| ProcessEnvironment.get("LEADGATE_CONFIG").map(PathBuf::from))
            .or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.is_file()))
    }

    /// The configuration, when there is a file; `None` asks for zero setup. It is one that this
    /// version can run.
    fn configured(&self) -> Result<Option<Loaded>, Failed> {
        let Some(file) = self.config_file() else { return Ok(None) };
        Ok(Some(ConfigurationFile::at(file).read()?))
    }
}

/// What every command goes by where there is no configuration: the built-in simulator, an open web
/// form, and a source for each preset.
fn zero_setup(sandbox: &Url, token: &SecretString) -> Result<Config, Faults> {
    let (more, presets) =
        (preset::development_sources("sandbox", sandbox), preset::built_in_names());
    config::zero_setup(sandbox, token, &more, &presets, &ProcessEnvironment)
}

/// A runtime for a command that does a few requests.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn config_is_accepted_before_and_after_the_command() {
        for arguments in
            [["leadgate", "--config", "x", "check"], ["leadgate", "check", "--config", "x"]]
        {
            let parsed = Arguments::try_parse_from(arguments).unwrap();
            assert_eq!(parsed.config, Some(PathBuf::from("x")));
        }
    }
}
