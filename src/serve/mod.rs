//! Recommendations over HTTP: the vectors are loaded once, a thread scores, connections are served
//! by hyper.

mod api;
mod http;
mod metrics;
mod openapi;
mod queue;
mod server;

use std::time::Duration;

pub use server::serve;

/// What a client may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Histories a request.
    pub histories: usize,
    /// Items a history.
    pub history: usize,
    /// Ids in `allow`, and in `deny`.
    pub listed: usize,
    /// Items recommended a history.
    pub top: usize,
    /// For the head of a request to arrive, for its body, for its answer, and for the client to take
    /// it.
    pub timeout: Duration,
    /// Connections at a time; more are closed at once.
    pub connections: usize,
}
