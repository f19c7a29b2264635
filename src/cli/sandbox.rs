//! `leadgate sandbox`

use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use clap::Args;

use super::said::say;
use super::serve::orders;
use super::{Failed, Invocation};
use crate::sandbox::Options;

#[derive(Debug, Args)]
pub(super) struct Sandbox {
    /// Where the simulator listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
}

impl Sandbox {
    pub(super) fn run(self, _invocation: &Invocation) -> Result<(), Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("the runtime could not be started")?;
        let listener = TcpListener::bind(self.listen)
            .with_context(|| format!("the simulator cannot listen on {}", self.listen))?;
        let address = listener.local_addr().context("the simulator has no address")?;
        let options = Options::default();
        say!(
            "A CareSoft simulator: nothing here is real.\n\n  look      http://{address}/\n  base_url  http://{address}\n  domain    {}\n  token     {}\n",
            options.domain,
            options.token,
        );
        let sandbox = crate::sandbox::Sandbox::new(options);
        let served = runtime.block_on(async {
            sandbox.serve(listener, orders()?.stop).await.context("the simulator failed")
        });
        Ok(served?)
    }
}
