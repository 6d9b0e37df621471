//! `croloss serve`.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::recommender::RecommenderOptions;
use super::table;
use crate::export::Export;
use crate::serve::{Limits, serve};

/// Answer requests for recommendations over HTTP
///
/// POST /recommend takes {"histories": [["a", 7]], "top": 10, "exclude_seen": false} and gives
/// {"recommendations": [{"items": [{"item": "c", "score": 0.9}], "unknown": 0}]}; lists "allow" and
/// "deny" say which items a request may be given; /openapi.json describes it in full, /healthz says
/// whether the service is up, /metrics counts for Prometheus.
/// SIGTERM and SIGINT end it when all accepted requests are answered.
#[derive(clap::Args)]
pub struct Serve {
    /// A folder that `croloss export` wrote
    export: PathBuf,
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The longest body of a request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    max_body: usize,
    /// Most histories in a request
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_histories: usize,
    /// Most items in a history
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_history: usize,
    /// Most ids in allow, and in deny
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max_listed: usize,
    /// Most items recommended for a history
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_top: usize,
    /// Most connections at a time
    #[arg(long, value_name = "N", default_value_t = 1024)]
    max_connections: usize,
    /// Seconds for a request to arrive, and again for its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    #[command(flatten)]
    options: RecommenderOptions,
}

impl Serve {
    pub fn run(self) -> Result<()> {
        // An address that cannot be had is told before vectors are read.
        let listener = TcpListener::bind(self.listen)
            .with_context(|| format!("cannot listen on {}", self.listen))?;
        let address = listener.local_addr()?;
        let recommender = self.options.of_export(&Export::open(&self.export)?)?;
        let limits = Limits {
            body: self.max_body,
            histories: self.max_histories,
            history: self.max_history,
            listed: self.max_listed,
            top: self.max_top,
            timeout: Duration::from_secs(self.timeout),
            connections: self.max_connections,
        };
        let items = table::count(recommender.catalogue.len() as u64);
        let example = curl(address, recommender.catalogue.original(0));
        serve(recommender, listener, limits, || {
            table::say(format_args!("{items} items; listening on http://{address}\n{example}"))
        })
    }
}

/// A request for `item`, to be pasted into a shell.
fn curl(address: SocketAddr, item: &str) -> String {
    let body = json!({"histories": [[item]], "top": 5}).to_string().replace('\'', r"'\''");
    format!("curl -d '{body}' http://{address}/recommend")
}
