//! Recommendations over HTTP: the vectors are loaded once, a thread scores, connections are served
//! by hyper.

mod api;
mod client;
mod connection;
mod http;
mod metrics;
mod openapi;
mod queue;
mod reload;
mod served;
mod server;
mod unsent;

use std::time::Duration;

pub use api::Wish;
pub use reload::Permission;
pub use server::{listen, serve};

/// What a service is told besides what it recommends with.
pub struct Options {
    pub limits: Limits,
    /// Who may have the export loaded anew over HTTP.
    pub permission: Permission,
}

/// What a client may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Histories a request.
    pub histories: usize,
    /// Items a history.
    pub history: usize,
    /// Ids in `allow`, and in `deny`; values in a field of a user.
    pub listed: usize,
    /// Items recommended a history.
    pub top: usize,
    /// For the head of a request to arrive, for its body, for its answer, and for the client to take
    /// it.
    pub timeout: Duration,
    /// Connections at a time; more are closed at once.
    pub connections: usize,
}
