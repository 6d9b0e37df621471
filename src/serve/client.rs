//! A client's connection, on which hyper's own refusals get a body.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How hyper's answer to what is not HTTP begins, and a header of it that no other answer has.
const REFUSAL: &[u8] = b"HTTP/1.1 4";
const EMPTY: &str = "\r\ncontent-length: 0\r\n";

/// A stream on which errors are JSON, whoever finds them.
pub struct Client {
    stream: TcpStream,
    /// What is sent in the place of a refusal of hyper's, and how much of it was.
    instead: Option<(Vec<u8>, usize)>,
}

impl Client {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, instead: None }
    }

    /// Sends the refusal with a body in place of `bytes`, if they are one without.
    fn poll_instead(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Option<io::Result<usize>>> {
        if self.instead.is_none() {
            let Some(refusal) = with_body(bytes) else { return Poll::Ready(None) };
            self.instead = Some((refusal, 0));
        }
        while let Some((refusal, sent)) = &mut self.instead {
            if *sent == refusal.len() {
                self.instead = None;
                break;
            }
            match ready!(Pin::new(&mut self.stream).poll_write(context, &refusal[*sent..])) {
                Ok(more) => *sent += more,
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        Poll::Ready(Some(Ok(bytes.len())))
    }
}

/// hyper's refusal with a body that says what is wrong, if `bytes` are one.
fn with_body(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(REFUSAL) {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let head = format!("{head}\r\n");
    head.contains(EMPTY).then_some(())?;
    let status = head.lines().next()?.strip_prefix("HTTP/1.1 ")?;
    let words = match status.split(' ').next()? {
        "414" => "the address is too long",
        "431" => "the head of the request is too long",
        _ => "the request is not HTTP/1.1",
    };
    let body = json!({"error": words}).to_string();
    let fields =
        format!("\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
    Some(format!("{}\r\n{body}", head.replace(EMPTY, &fields)).into_bytes())
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_instead(context, bytes)) {
            Some(sent) => Poll::Ready(sent),
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = pieces.iter().find(|piece| !piece.is_empty())
            && let Some(sent) = ready!(self.poll_instead(context, first))
        {
            return Poll::Ready(sent);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_without_a_body_get_one() {
        let refusal = b"HTTP/1.1 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let text = String::from_utf8(with_body(refusal).unwrap()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, r#"{"error":"the head of the request is too long"}"#);
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(head.contains("connection: close\r\ncontent-type: application/json"), "{head}");
        for other in ["HTTP/1.1 400 Bad\r\ncontent-length: 9\r\n\r\n", "HTTP/1.1 4", "{}"] {
            assert_eq!(with_body(other.as_bytes()), None);
        }
    }
}
