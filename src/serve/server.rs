//! The service from its start to its end.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::Options;
use super::connection::{self, GRACE};
use super::http::Service;
use super::metrics::Metrics;
use super::served::Current;
use super::unsent::Unsent;
use crate::retrieve::{Catalogue, Recommender, UserTower};

/// How long to wait after a connection could not be accepted: the system has no more files.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that may wait to be accepted: as many as systems allow.
const WAITING: usize = 4096;

/// Listens on `address`; as many connections may wait as the system allows.
///
/// # Errors
/// An address that cannot be had.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(WAITING as i32)?;
    Ok(socket.into())
}

/// Answers requests by what `load` gives until the process gets SIGTERM or SIGINT; then takes no new
/// connections, and returns when all that were taken are answered. SIGHUP loads anew; `reloaded` is
/// told what came of it. `ready` is called once signals are heard. Makes its own tokio runtime.
///
/// # Errors
/// Those of `load` and of `ready`; when the system gives no threads or signals, or requests are not
/// answered within twice the time-out after the signal.
pub fn serve<T: UserTower + Send + 'static>(
    load: impl Fn() -> Result<Recommender<T>> + Send + Sync + 'static,
    listener: TcpListener,
    options: Options,
    ready: impl FnOnce(&Catalogue) -> Result<()>,
    reloaded: impl Fn(Result<usize>) + Send + Sync + 'static,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the service's threads")?;
    // Heard from here on: while the first load lasts it would end the process.
    let anew = {
        let _entered = runtime.enter();
        heard(SignalKind::hangup())?
    };
    let metrics = Arc::new(Metrics::default());
    let current = Current::new(load, metrics.clone())?;
    let Options { limits, permission } = options;
    let unsent = Unsent::default();
    let service = Arc::new(Service { current, metrics, limits, unsent, permission });
    let served = runtime.block_on(async {
        let mut end = [heard(SignalKind::terminate())?, heard(SignalKind::interrupt())?];
        ready(&service.current.get().catalogue)?;
        tokio::spawn(reload_whenever(anew, service.current.clone(), reloaded));
        let stop = poll_fn(move |context| {
            match end.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        accept_all(service, listener, stop).await
    });
    // What is left after the time-outs is not waited for.
    runtime.shutdown_background();
    served
}

async fn reload_whenever(
    mut anew: Signal,
    current: Arc<Current>,
    reloaded: impl Fn(Result<usize>),
) {
    while anew.recv().await.is_some() {
        reloaded(current.reload().await);
    }
}

async fn accept_all(
    service: Arc<Service>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (limits, all) = (service.limits.clone(), service.limits.connections);
    let places = Arc::new(Semaphore::new(all));
    let (end, ending) = watch::channel(false);
    let take = |stream: TcpStream, peer: SocketAddr| {
        let Ok(place) = places.clone().try_acquire_owned() else { return };
        let local = peer.ip().to_canonical().is_loopback();
        let connection = connection::serve(service.clone(), stream, local, ending.clone());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    };
    let mut stop = pin!(stop);
    while let Some(accepted) = next(&listener, stop.as_mut()).await {
        match accepted {
            Ok((stream, peer)) => take(stream, peer),
            Err(_) => sleep(PAUSE).await,
        }
    }
    // Whoever has connected by now is still answered; tokio might not have heard of all of them.
    let listener = listener.into_std()?;
    for _ in 0..WAITING {
        let Ok((stream, peer)) = listener.accept() else { break };
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        stream.into_iter().for_each(|stream| take(stream, peer));
    }
    drop(listener);
    end.send_replace(true);
    // A request may need its time-out twice: to arrive, and to be answered.
    let done = places.acquire_many(all as u32);
    if timeout(2 * limits.timeout + GRACE, done).await.is_err() {
        let open = all - places.available_permits();
        bail!("{open} connections were not done in time: they are cut");
    }
    Ok(())
}

/// The next connection; `None` when `stop` is ready.
async fn next(
    listener: &tokio::net::TcpListener,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    poll_fn(|context| match stop.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => listener.poll_accept(context).map(Some),
    })
    .await
}

/// Signals of a kind. Must be called within a tokio runtime.
fn heard(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("cannot listen for signals")
}
