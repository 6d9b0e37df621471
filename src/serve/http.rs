//! From a request to its response.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use super::api::{Answer, Scored, Wish};
use super::metrics::Metrics;
use super::queue::Job;
use super::served::{Current, Served};
use super::unsent::Unsent;
use super::{Limits, Permission, openapi};
use crate::retrieve::{Catalogue, Choice, Hit, Known};

/// Bytes beyond the limit that are read and thrown away, so that a client that sends first and
/// reads then finds the refusal.
const DISCARDED: usize = 8 << 20;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What all connections share.
pub struct Service {
    pub current: Arc<Current>,
    pub metrics: Arc<Metrics>,
    pub limits: Limits,
    pub unsent: Unsent,
    pub permission: Permission,
}

/// A response but for its headers.
struct Reply {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
}

impl Reply {
    fn ok(kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, kind, body: body.into() }
    }

    fn error(status: StatusCode, what: impl std::fmt::Display) -> Self {
        let body = json!({"error": what.to_string()}).to_string();
        Self { status, kind: JSON, body: body.into() }
    }
}

impl Service {
    /// Answers a request, whatever it is; `local`: it comes from this machine.
    pub async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        local: bool,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let _in_flight = self.metrics.begin();
        let start = Instant::now();
        let (path, allowed) = match request.uri().path() {
            "/recommend" => ("/recommend", Method::POST),
            "/reload" => ("/reload", Method::POST),
            "/healthz" => ("/healthz", Method::GET),
            "/metrics" => ("/metrics", Method::GET),
            "/openapi.json" => ("/openapi.json", Method::GET),
            _ => ("other", Method::GET),
        };
        // Of an answer to HEAD hyper sends no body.
        let head = *request.method() == Method::HEAD && allowed == Method::GET;
        let wrong_method = *request.method() != allowed && !head && path != "other";
        let reply = match path {
            "other" => {
                let paths = "there are /recommend, /reload, /healthz, /metrics and /openapi.json";
                Reply::error(StatusCode::NOT_FOUND, paths)
            }
            _ if wrong_method => {
                let words = format!("{path} is for {allowed}");
                Reply::error(StatusCode::METHOD_NOT_ALLOWED, words)
            }
            "/recommend" => self.recommend(request.into_body()).await.unwrap_or_else(|reply| reply),
            "/reload" => match self.permission.refusal(request.headers(), local) {
                Some(why) => Reply::error(StatusCode::FORBIDDEN, why),
                None => self.reload().await,
            },
            "/metrics" => Reply::ok(TEXT, self.metrics.text()),
            "/openapi.json" => {
                let served = self.current.get();
                let document = openapi::document(&self.limits, served.user_fields.as_deref());
                Reply::ok(JSON, document.to_string())
            }
            _ => Reply::ok(TEXT, "ok\n"),
        };
        self.metrics.answered(path, reply.status.as_u16(), start.elapsed());
        let mut response = Response::new(Full::new(reply.body));
        *response.status_mut() = reply.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(reply.kind));
        if wrong_method {
            let allow = if allowed == Method::POST { "POST" } else { "GET, HEAD" };
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        Ok(response)
    }

    async fn reload(&self) -> Reply {
        match self.current.reload().await {
            Ok(items) => Reply::ok(JSON, json!({"items": items}).to_string()),
            Err(error) => {
                let words = format!("{error:#}; what was served before is served on");
                Reply::error(StatusCode::INTERNAL_SERVER_ERROR, words)
            }
        }
    }

    async fn recommend(&self, body: Incoming) -> Result<Reply, Reply> {
        let seconds = self.limits.timeout.as_secs_f64();
        let late = |_| {
            let words = format!("the body did not arrive within {seconds} s");
            Reply::error(StatusCode::REQUEST_TIMEOUT, words)
        };
        let body = timeout(self.limits.timeout, self.read(body)).await.map_err(late)??;
        let wish = Wish::parse(&body, &self.limits)
            .map_err(|error| Reply::error(StatusCode::BAD_REQUEST, error))?;
        // From here to the answer: another export may take its place meanwhile.
        let served = self.current.get();
        let Served { catalogue, cold_start, user_fields, queue } = &*served;
        let fields = wish
            .codes(user_fields.as_deref())
            .map_err(|error| Reply::error(StatusCode::BAD_REQUEST, error))?;
        let histories: Vec<Known> =
            wish.histories.iter().map(|history| catalogue.known(history)).collect();
        self.metrics.unknown(histories.iter().map(|known| known.unknown).sum());
        let asked = histories.iter().zip(fields);
        let asked = asked.filter(|(known, _)| *cold_start || !known.ids.is_empty());
        let (ids, fields) = asked.map(|(known, codes)| (known.ids.clone(), codes)).unzip();
        let job = Job {
            histories: ids,
            fields,
            top: wish.top,
            exclude_seen: wish.exclude_seen,
            choice: Choice::of(catalogue, wish.allow.as_deref(), wish.deny.as_deref()),
        };
        let popular = job.histories.iter().filter(|ids| ids.is_empty()).count();
        let (items, text) = size_of_answer(&wish, catalogue);
        let codes: usize = job.fields.iter().map(|codes| size_of_val(&codes[..])).sum();
        let while_made = text + items * (size_of::<Hit>() + size_of::<Scored>()) + codes;
        let room = self.unsent.room(while_made, self.limits.timeout).await;
        let room = room.ok_or_else(|| {
            let words = "too many answers wait for their clients to take them";
            Reply::error(StatusCode::SERVICE_UNAVAILABLE, words)
        })?;
        let waiting = queue.submit(job).ok_or_else(|| {
            Reply::error(StatusCode::SERVICE_UNAVAILABLE, "too many requests are waiting")
        })?;
        let late = |_| {
            let words = format!("the answer was not ready within {seconds} s");
            Reply::error(StatusCode::GATEWAY_TIMEOUT, words)
        };
        let failed =
            |error: &dyn std::fmt::Display| Reply::error(StatusCode::INTERNAL_SERVER_ERROR, error);
        let scored = timeout(self.limits.timeout, waiting).await.map_err(late)?;
        let hits = scored.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        self.metrics.popular(popular);
        let answer = Answer::new(catalogue, &histories, hits, *cold_start);
        // Text that grows by doubling would leave a trail of freed pieces.
        let mut body = Vec::with_capacity(text);
        serde_json::to_writer(&mut body, &answer).map_err(|error| failed(&error))?;
        drop(answer);
        body.shrink_to_fit();
        Ok(Reply::ok(JSON, room.hold(body)))
    }

    /// The whole body, if it is not too large.
    async fn read(&self, mut body: Incoming) -> Result<Vec<u8>, Reply> {
        let most = self.limits.body;
        let too_large = || {
            let words = format!("the body is over {most} bytes long");
            Reply::error(StatusCode::PAYLOAD_TOO_LARGE, words)
        };
        if body.size_hint().lower() > most.saturating_add(DISCARDED) as u64 {
            return Err(too_large());
        }
        let (mut all, mut size) = (vec![], 0);
        while let Some(frame) = body.frame().await {
            let broken =
                |error| Reply::error(StatusCode::BAD_REQUEST, format!("the body: {error}"));
            if let Ok(data) = frame.map_err(broken)?.into_data() {
                size += data.len();
                if size > most.saturating_add(DISCARDED) {
                    return Err(too_large());
                }
                if size <= most {
                    all.extend_from_slice(&data);
                }
            }
        }
        if size > most { Err(too_large()) } else { Ok(all) }
    }
}

/// How many items an answer has at most, and about how many bytes its text.
fn size_of_answer(wish: &Wish, catalogue: &Catalogue) -> (usize, usize) {
    const AROUND_AN_ITEM: usize = 40;
    const AROUND_A_LIST: usize = 64;
    let items = wish.histories.len() * wish.top.min(catalogue.len());
    let item = catalogue.mean_length() + AROUND_AN_ITEM;
    (items, items * item + wish.histories.len() * AROUND_A_LIST)
}
