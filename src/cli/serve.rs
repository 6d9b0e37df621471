//! `croloss serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::builder::RangedI64ValueParser;
use serde_json::json;

use super::recommender::RecommenderOptions;
use super::table;
use crate::misuse;
use crate::reading;
use crate::retrieve::Catalogue;
use crate::serve::{Limits, Options, Permission, listen, serve};

/// The highest limit on what is counted.
const MOST: i64 = 1_000_000;

fn from_one(most: i64) -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=most)
}

/// Answer requests for recommendations over HTTP
///
/// POST /recommend takes {"histories": [["a", 7]], "top": 10, "exclude_seen": false} and gives
/// {"recommendations": [{"items": [{"item": "c", "score": 0.9}], "unknown": 0}]}; lists "allow" and
/// "deny" say which items a request may be given, and where the model reads fields of users, a list
/// "fields" says what is known of the user of each history; /openapi.json describes it in full,
/// /healthz says whether the service is up, /metrics counts for Prometheus.
/// SIGHUP and POST /reload have the export loaded anew, and all requests from then on answered by it;
/// SIGTERM and SIGINT end it when all accepted requests are answered.
#[derive(clap::Args)]
pub struct Serve {
    /// A folder that `croloss export` wrote
    export: PathBuf,
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The longest body of a request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = from_one(1 << 30))]
    max_body: u32,
    /// Most histories in a request
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = from_one(MOST))]
    max_histories: u32,
    /// Most items in a history
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = from_one(MOST))]
    max_history: u32,
    /// Most ids in allow, and in deny, and values in a field of a user
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(..=MOST))]
    max_listed: u32,
    /// Most items recommended for a history
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = from_one(MOST))]
    max_top: u32,
    /// Most connections at a time
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = from_one(MOST))]
    max_connections: u32,
    /// Seconds for a request to arrive, and again for its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// A file with a token: POST /reload is then for whoever gives it, from anywhere [default: for
    /// clients on this machine]
    #[arg(long, value_name = "FILE")]
    reload_token: Option<PathBuf>,
    #[command(flatten)]
    options: RecommenderOptions,
}

impl Serve {
    pub fn run(self) -> Result<()> {
        // An address that cannot be had is told before vectors are read.
        let listener =
            listen(self.listen).with_context(|| format!("cannot listen on {}", self.listen))?;
        let address = listener.local_addr()?;
        let permission = Permission::of(self.token()?.as_deref());
        let limits = Limits {
            body: self.max_body as usize,
            histories: self.max_histories as usize,
            history: self.max_history as usize,
            listed: self.max_listed as usize,
            top: self.max_top as usize,
            timeout: Duration::from_secs(self.timeout),
            connections: self.max_connections as usize,
        };
        let (options, export) = (self.options, self.export);
        let load = move || Ok(options.of_export(&export)?.0);
        let ready = |catalogue: &Catalogue| {
            let items = table::count(catalogue.len() as u64);
            let example = curl(address, catalogue.original(0));
            table::say(format_args!("{items} items; listening on http://{address}\n{example}"))
        };
        serve(load, listener, Options { limits, permission }, ready, tell)
    }

    fn token(&self) -> Result<Option<String>> {
        let Some(path) = &self.reload_token else { return Ok(None) };
        let token = reading::text(path)?.trim().to_owned();
        if token.is_empty() {
            misuse!("{} holds no token", path.display());
        }
        Ok(Some(token))
    }
}

/// Says what came of a SIGHUP.
fn tell(reloaded: Result<usize>) {
    match reloaded {
        Ok(items) => {
            table::note(format_args!("{} items are served now", table::count(items as u64)))
        }
        Err(error) => {
            table::warn(format_args!("warning: {error:#}; what was served before is served on"))
        }
    }
}

/// A request for `item`, to be pasted into a shell.
fn curl(address: SocketAddr, item: &str) -> String {
    let body = json!({"histories": [[item]], "top": 5}).to_string().replace('\'', r"'\''");
    format!("curl -d '{body}' http://{address}/recommend")
}
