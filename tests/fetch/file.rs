//! The file that is fetched, and how a server answers with it.

use sha2::{Digest, Sha256};

use crate::server::{Reply, Request, reply};

/// A file to be had, long enough to come in several reads.
pub fn content() -> Vec<u8> {
    (0u32..100_000).flat_map(|number| number.to_le_bytes()).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file, or the part of it that is asked for if the server calls the file `tag`.
pub fn part(request: &Request, tag: &str, content: &[u8]) -> Reply {
    let same = request.header("if-range") == Some(tag);
    let tagged = format!("ETag: {tag}");
    match request.from().filter(|_| same) {
        None => {
            let length = format!("Content-Length: {}", content.len());
            reply("200 OK", &[&tagged, &length], content)
        }
        Some(from) => {
            let length = format!("Content-Length: {}", content.len() - from);
            let size = content.len();
            let range = format!("Content-Range: bytes {from}-{}/{size}", size - 1);
            reply("206 Partial Content", &[&tagged, &length, &range], &content[from..])
        }
    }
}

/// The whole file, of which `sent` bytes come before the connection breaks.
pub fn broken(tag: &str, content: &[u8], sent: usize) -> Reply {
    let length = format!("Content-Length: {}", content.len());
    reply("200 OK", &[&format!("ETag: {tag}"), &length], &content[..sent])
}

pub const TAG: &str = "\"one\"";
