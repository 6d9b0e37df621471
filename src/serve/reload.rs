//! Who may have the export loaded anew over HTTP.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// Headers of requests that come from elsewhere, by way of a proxy or of a page in a browser.
const FROM_ELSEWHERE: [&str; 5] = ["forwarded", "x-forwarded-for", "x-real-ip", "via", "origin"];

/// Whoever knows the token; without a token, whoever asks on this machine.
#[derive(Clone, Default)]
pub struct Permission(Option<[u8; 32]>);

impl Permission {
    /// `token`: what is asked for.
    pub fn of(token: Option<&str>) -> Self {
        Self(token.map(digest))
    }

    /// Why a request is refused; `local`: it came from this machine.
    pub fn refusal(&self, headers: &HeaderMap, local: bool) -> Option<&'static str> {
        let Some(token) = self.0 else {
            let elsewhere = !local || FROM_ELSEWHERE.iter().any(|name| headers.contains_key(*name));
            return elsewhere.then_some(
                "/reload is for this machine alone: give croloss serve a --reload-token for others",
            );
        };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer "));
        // Digests, so that the time it takes tells nothing of the token.
        let known = given.is_some_and(|given| digest(given) == token);
        (!known).then_some("/reload asks for the token: authorization: Bearer TOKEN")
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.trim()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn this_machine_may_or_who_knows_the_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(Permission::of(None).refusal(&headers, true), None);
        assert!(Permission::of(None).refusal(&headers, false).is_some());
        headers.insert("x-forwarded-for", HeaderValue::from_static("1.2.3.4"));
        assert!(Permission::of(None).refusal(&headers, true).is_some());
        let permission = Permission::of(Some("secret\n"));
        assert!(permission.refusal(&headers, true).is_some());
        for (value, may) in [("Bearer secret", true), ("Bearer x", false), ("secret", false)] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(permission.refusal(&headers, false).is_none(), may, "{value}");
        }
    }
}
