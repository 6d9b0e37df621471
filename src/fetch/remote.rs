//! A file on a server, asked for whole or from some byte on.

use std::io::Read;
use std::time::Duration;

use anyhow::{Result, bail};
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body, Error};

/// How long a server may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);
const REDIRECTS: u32 = 5;

pub(super) struct Remote {
    url: String,
    agent: Agent,
}

/// A part of a file.
pub(super) struct Asked<'a> {
    /// The first byte.
    pub from: u64,
    /// What the server called the file when the bytes before that came.
    pub validator: &'a str,
    /// The size of the whole file, where it was told then.
    pub total: Option<u64>,
}

pub(super) struct Answer {
    /// The first byte of `body` in the file: what was asked for, or 0.
    pub from: u64,
    /// The size of the whole file, where the server tells it or told it before.
    pub total: Option<u64>,
    /// What the server calls the file, if anything that can be relied on.
    pub validator: Option<String>,
    pub body: Box<dyn Read>,
}

impl Remote {
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder()
            // Who has asked for https is not led elsewhere.
            .https_only(url.starts_with("https://"))
            .max_redirects(REDIRECTS)
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .user_agent(concat!("croloss/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { url: url.to_owned(), agent: config.into() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for the file, or a part of it. `Err` within: there was no answer, and another try may
    /// get one. `None`: an answer that does not go on with what was asked for.
    ///
    /// # Errors
    /// An answer that will not be another one on the next try.
    pub fn ask(&self, part: Option<&Asked>) -> Result<Result<Option<Answer>>> {
        let mut request = self.agent.get(&self.url);
        if let Some(Asked { from, validator, .. }) = part {
            request =
                request.header("range", format!("bytes={from}-")).header("if-range", *validator);
        }
        match request.call() {
            Ok(response) => self.answer(response, part).map(Ok),
            Err(Error::TooManyRedirects) => {
                bail!("{} leads on more than {REDIRECTS} times", self.url)
            }
            Err(error @ (Error::BadUri(_) | Error::Http(_) | Error::RequireHttpsOnly(_))) => {
                bail!("{} cannot be asked for: {error}", self.url)
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn answer(&self, response: Response<Body>, part: Option<&Asked>) -> Result<Option<Answer>> {
        let headers = response.headers();
        if text(headers, "content-encoding").is_some_and(|encoding| encoding != "identity") {
            bail!("{} is sent packed in a way that was not asked for", self.url);
        }
        let validator = validator(headers);
        let (from, total) = match (response.status(), part) {
            (StatusCode::OK, _) => (0, number(text(headers, "content-length"))),
            (StatusCode::PARTIAL_CONTENT, Some(asked)) => {
                let range = text(headers, "content-range").and_then(range);
                // A server may send no validator along; one that is another says that the file is.
                let same = validator.as_deref().is_none_or(|sent| sent == asked.validator);
                // `*` for a size is no other one.
                let fits = |total: Option<u64>| {
                    total.zip(asked.total).is_none_or(|(now, then)| now == then)
                };
                match range {
                    Some((from, total)) if same && from == asked.from && fits(total) => {
                        (from, total.or(asked.total))
                    }
                    _ => return Ok(None),
                }
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => return Ok(None),
            (status, _) => bail!("{} answers {status}", self.url),
        };
        let body = Box::new(response.into_body().into_reader());
        Ok(Some(Answer { from, total, validator, body }))
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn number(text: Option<&str>) -> Option<u64> {
    text?.trim().parse().ok()
}

/// The first byte and the size of the whole, of `bytes FIRST-LAST/SIZE`.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (bytes, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = bytes.split_once('-')?;
    Some((number(Some(first))?, number(Some(total))))
}

/// An `ETag` that stands for the very bytes, or else the time of the last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, "etag").filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| text(headers, "last-modified")).map(str::to_owned)
}
