//! One connection, from its first request to its end.

use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::http::Service;

/// How long a connection without a request stays after the signal: what its client has sent may be
/// on the way.
pub const GRACE: Duration = Duration::from_millis(100);

/// Bytes that hyper holds of a request, and of small answers that a client does not take.
const BUFFER: usize = 64 << 10;

/// Whether a request is being answered.
#[derive(Default)]
struct Request {
    busy: AtomicBool,
    begun: Notify,
}

/// Answers what comes on `stream`, from this machine if it is `local`, until the client ends it or,
/// once `ending`, no request is left on it.
pub async fn serve(
    service: Arc<Service>,
    stream: TcpStream,
    local: bool,
    mut ending: watch::Receiver<bool>,
) {
    let limits = service.limits.clone();
    // Without the first the last packet of each answer would wait; without the second a client
    // that reads no answer would hold its connection for good. The service does without both.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(limits.timeout));
    let (socket, request) = (stream.as_raw_fd(), Arc::new(Request::default()));
    let at = request.clone();
    let answer = service_fn(move |asked| {
        let (service, at) = (service.clone(), at.clone());
        async move {
            at.busy.store(true, SeqCst);
            at.begun.notify_one();
            let answer = service.answer(asked, local).await;
            at.busy.store(false, SeqCst);
            answer
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.timeout)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(Client::new(stream)), answer)
    );
    // A client that breaks off or sends what is not HTTP has had hyper's answer.
    if ends_before(connection.as_mut(), pin!(ending.wait_for(|end| *end))).await {
        return;
    }
    // hyper would close a connection between two requests, whatever lies there unread.
    let mut until = Instant::now() + GRACE;
    while !request.busy.load(SeqCst) {
        if Instant::now() >= until {
            if !has_unread(socket) {
                break;
            }
            until = Instant::now() + GRACE;
        }
        if ends_before(connection.as_mut(), pin!(timeout_at(until, request.begun.notified()))).await
        {
            return;
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Whether `connection` ends before `other` is ready.
async fn ends_before<C: Future, O: Future>(
    mut connection: Pin<&mut C>,
    mut other: Pin<&mut O>,
) -> bool {
    poll_fn(|context| {
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        other.as_mut().poll(context).map(|_| false)
    })
    .await
}

/// Whether bytes lie in the socket that nobody has read.
fn has_unread(socket: RawFd) -> bool {
    // SAFETY: the connection, which lives as long as this is asked, holds the socket open.
    let socket = unsafe { BorrowedFd::borrow_raw(socket) };
    SockRef::from(&socket).peek(&mut [MaybeUninit::uninit()]).is_ok_and(|bytes| bytes > 0)
}
