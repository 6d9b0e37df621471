//! What requests are answered from, and how the next export takes its place: each request goes by
//! one of them from its beginning to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Result, anyhow};
use tokio::sync::Mutex;

use super::metrics::Metrics;
use super::queue::Queue;
use crate::data::Schema;
use crate::retrieve::{Catalogue, Recommender, UserTower};

/// A catalogue, and the thread that scores it.
pub struct Served {
    pub catalogue: Arc<Catalogue>,
    /// Whether histories without a known item are answered by what is popular.
    pub cold_start: bool,
    /// The fields of users that are read, if any are.
    pub user_fields: Option<Arc<Schema>>,
    pub queue: Queue,
}

impl Served {
    /// # Errors
    /// When the system gives no thread.
    fn start<T: UserTower + Send + 'static>(
        recommender: Recommender<T>,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        Ok(Self {
            catalogue: recommender.catalogue.clone(),
            cold_start: recommender.popular.is_some(),
            user_fields: recommender.user_fields.clone(),
            queue: Queue::start(recommender, metrics)?,
        })
    }
}

/// What is served at present.
pub struct Current {
    served: RwLock<Arc<Served>>,
    load: Box<dyn Fn() -> Result<Served> + Send + Sync>,
    /// One loads at a time.
    loading: Mutex<()>,
}

impl Current {
    /// What `load` gives, now and whenever it is asked again.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn new<T: UserTower + Send + 'static>(
        load: impl Fn() -> Result<Recommender<T>> + Send + Sync + 'static,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>> {
        let load = move || Served::start(load()?, metrics.clone());
        let served = RwLock::new(Arc::new(load()?));
        Ok(Arc::new(Self { served, load: Box::new(load), loading: Mutex::default() }))
    }

    pub fn get(&self) -> Arc<Served> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Loads anew beside what is served, and then serves that: all requests that begin from then on.
    /// Gives the number of its items.
    ///
    /// # Errors
    /// What could not be loaded; then all is as it was.
    pub async fn reload(self: &Arc<Self>) -> Result<usize> {
        let own = self.clone();
        // A task of its own: a client that breaks off does not break it off.
        let reload = tokio::spawn(async move {
            let _alone = own.loading.lock().await;
            let loader = own.clone();
            let load = move || catch_unwind(AssertUnwindSafe(|| (loader.load)()));
            let loaded = tokio::task::spawn_blocking(load).await?;
            let served = loaded.map_err(|_| anyhow!("the export could not be loaded"))??;
            let items = served.catalogue.len();
            *own.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
            Ok(items)
        });
        reload.await?
    }
}
