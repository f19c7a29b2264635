//! `leadgate forget`

use std::io::{IsTerminal, Write, stderr, stdin};

use anyhow::Context;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::admin::AdminApi;
use super::leads::print_json;
use super::said::say;
use super::{Failed, Invocation, block_on};

/// `leadgate forget`: erases a person.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("who").required(true).args(["phone", "email"]))]
pub(super) struct Forget {
    /// The person's phone number, in any spelling
    #[arg(long)]
    phone: Option<String>,
    /// The person's e-mail address
    #[arg(long)]
    email: Option<String>,
    /// Do not ask; without a terminal nobody is asked
    #[arg(long, short)]
    yes: bool,
}

impl Forget {
    pub(super) fn run(self, invocation: &Invocation) -> Result<(), Failed> {
        let api = AdminApi::of(invocation)?;
        if !self.yes && stdin().is_terminal() && !confirmed()? {
            return Err(anyhow::anyhow!("nothing was erased").into());
        }
        let answered = block_on(api.post("/api/forget", &self.body()))?;
        let answer = answered.map_err(|refusal| refusal.into_error())?;
        if invocation.json {
            print_json(&answer);
            return Ok(());
        }
        match answer["erased"].as_u64().unwrap_or(0) {
            0 => say!("erased: 0; nobody is known by that"),
            erased => say!("erased: {erased}; CareSoft still has what it was sent"),
        }
        let receipt = |key: &str| answer["receipt"][key].as_str().unwrap_or("-").to_owned();
        say!("receipt: {} of {}", receipt("id"), receipt("at"));
        Ok(())
    }

    fn body(self) -> Value {
        match (self.phone, self.email) {
            (Some(phone), _) => json!({ "phone": phone }),
            (None, email) => json!({ "email": email }),
        }
    }
}

/// Asks the person at the terminal.
fn confirmed() -> Result<bool, Failed> {
    let mut asking = stderr();
    write!(asking, "Erase all submissions of that person? It cannot be undone. [y/N] ")
        .and_then(|()| asking.flush())
        .context("standard error")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("standard input")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
