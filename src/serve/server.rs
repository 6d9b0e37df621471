//! Connections, and their end.

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::Limits;
use super::http::Service;
use super::metrics::Metrics;
use super::queue::Queue;
use crate::retrieve::{Recommender, UserTower};

/// How long to wait after a connection could not be accepted: the system has no more files.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that are still taken when the end is asked for: those that wait by then.
const WAITING: usize = 1024;

/// Answers requests until the process gets SIGTERM or SIGINT; then takes no new connections, and
/// returns when all that were taken are answered. `ready` is called once signals are heard. Makes
/// its own tokio runtime.
///
/// # Errors
/// When the system gives no threads or signals, or requests are not answered within twice the
/// time-out after the signal; those of `ready`.
pub fn serve<T: UserTower + Send + 'static>(
    recommender: Recommender<T>,
    listener: TcpListener,
    limits: Limits,
    ready: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the service's threads")?;
    let metrics = Arc::new(Metrics::default());
    let (catalogue, cold_start) = (recommender.catalogue.clone(), recommender.popular.is_some());
    let queue = Queue::start(recommender, metrics.clone())?;
    let service = Arc::new(Service { catalogue, cold_start, queue, metrics, limits });
    let served = runtime.block_on(async {
        let stop = signalled()?;
        ready()?;
        accept_all(service, listener, stop).await
    });
    // What is left after the time-outs is not waited for.
    runtime.shutdown_background();
    served
}

async fn accept_all(
    service: Arc<Service>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(service.limits.connections));
    let mut stop = pin!(stop);
    // After the signal: connections that may still be taken.
    let mut left = None;
    while left != Some(0) {
        left = left.map(|left: usize| left - 1);
        let stream = match next(&listener, stop.as_mut(), left.is_some()).await {
            Some(Ok(stream)) => stream,
            Some(Err(_)) => {
                sleep(PAUSE).await;
                continue;
            }
            // Whoever has connected by now is still answered.
            None if left.is_none() => {
                left = Some(WAITING);
                continue;
            }
            None => break,
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        // Without the first the last packet of each answer would wait; without the second a client
        // that reads no answer would hold its connection for good. The service does without both.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(service.limits.timeout));
        let shared = service.clone();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(service.limits.timeout)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| shared.clone().answer(request)),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off or sends what is not HTTP has had hyper's answer.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let open = graceful.count();
    // A request may need its time-out twice: to arrive, and to be answered.
    if timeout(2 * service.limits.timeout, graceful.shutdown()).await.is_err() {
        bail!("some of {open} connections were not done in time: they are cut");
    }
    Ok(())
}

/// The next connection; `None` when `stop` is ready or, when `stopping`, no connection waits.
async fn next(
    listener: &tokio::net::TcpListener,
    mut stop: Pin<&mut impl Future<Output = ()>>,
    stopping: bool,
) -> Option<io::Result<TcpStream>> {
    poll_fn(|context| {
        if !stopping && stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        match listener.poll_accept(context) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted.map(|(stream, _)| stream))),
            Poll::Pending if stopping => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Ready when the process is asked to end. Must be called within a tokio runtime.
fn signalled() -> Result<impl Future<Output = ()>> {
    let mut kinds = [SignalKind::terminate(), SignalKind::interrupt()]
        .into_iter()
        .map(signal)
        .collect::<io::Result<Vec<_>>>()
        .context("cannot listen for signals")?;
    Ok(poll_fn(move |context| {
        let heard = kinds.iter_mut().any(|kind| kind.poll_recv(context).is_ready());
        if heard { Poll::Ready(()) } else { Poll::Pending }
    }))
}
