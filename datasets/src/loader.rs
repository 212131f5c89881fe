//! Batches that are loaded on threads of their own while the device computes.

use std::any::Any;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::augment::Scratch;
use crate::{Batch, BatchPlan, DatasetError, Pipeline};

/// How many threads load, and how far ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// Threads; each loads a whole batch at a time.
    pub threads: NonZeroUsize,
    /// Batches that may be loading or loaded and not yet asked for. Memory is bounded by them; fewer than threads
    /// leave some idle.
    pub ahead: NonZeroUsize,
}

impl Workers {
    /// So many threads, each with one batch in its hands and one in store.
    pub fn new(threads: NonZeroUsize) -> Self {
        Self { threads, ahead: threads.saturating_mul(TWO) }
    }
}

const TWO: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");

impl Default for Workers {
    /// As many threads as the machine has cores.
    fn default() -> Self {
        Self::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

/// Batches in the order of their plans, loaded ahead.
///
/// What comes out does not depend on the number of threads. An error comes in its place and does not end the others.
/// Dropped, it stops its threads after the image each is at, and waits for them.
pub struct Loader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    next: u64,
    waited: Duration,
}

/// How fast batches were loaded, and whether they were awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoaderSpeed {
    /// Images loaded so far.
    pub images: u64,
    /// Time that threads spent loading them, summed over the threads.
    pub busy: Duration,
    /// Time that the asker waited for batches; near zero where loading keeps ahead.
    pub waited: Duration,
}

impl LoaderSpeed {
    /// Images per second and core, 0 before the first.
    pub fn images_per_second_per_core(&self) -> f64 {
        match self.busy.is_zero() {
            true => 0.0,
            false => self.images as f64 / self.busy.as_secs_f64(),
        }
    }
}

struct Shared {
    pipeline: Pipeline,
    ahead: u64,
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
}

struct State {
    plans: Box<dyn Iterator<Item = BatchPlan> + Send>,
    /// Plans taken by threads, delivered to the asker, and whether there are no more.
    taken: u64,
    delivered: u64,
    ended: bool,
    loaded: BTreeMap<u64, Outcome>,
    speed: LoaderSpeed,
}

/// A batch, its error, or the panic of a dataset.
type Outcome = Result<Result<Batch, DatasetError>, Box<dyn Any + Send>>;

impl Loader {
    /// Starts loading the batches of `plans`, which may go on over several epochs.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start<P>(pipeline: Pipeline, plans: P, workers: Workers) -> Result<Self, DatasetError>
    where
        P: IntoIterator<Item = BatchPlan>,
        P::IntoIter: Send + 'static,
    {
        let state = State {
            plans: Box::new(plans.into_iter()),
            taken: 0,
            delivered: 0,
            ended: false,
            loaded: BTreeMap::new(),
            speed: LoaderSpeed::default(),
        };
        let shared = Arc::new(Shared {
            pipeline,
            ahead: workers.ahead.get() as u64,
            state: Mutex::new(state),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let mut loader = Self { shared, threads: Vec::new(), next: 0, waited: Duration::ZERO };
        for number in 1..=workers.threads.get() {
            let shared = Arc::clone(&loader.shared);
            let builder = thread::Builder::new().name(format!("loader {number}"));
            let workers = workers.threads.get();
            let started = builder
                .spawn(move || shared.work())
                .map_err(|source| DatasetError::Worker { worker: number, workers, source })?;
            loader.threads.push(started);
        }
        Ok(loader)
    }

    /// How fast it was so far.
    pub fn speed(&self) -> LoaderSpeed {
        LoaderSpeed { waited: self.waited, ..self.shared.lock().speed }
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let asked = Instant::now();
        let mut state = self.shared.lock();
        let outcome = loop {
            if let Some(outcome) = state.loaded.remove(&self.next) {
                break outcome;
            }
            if state.ended && self.next >= state.taken {
                return None;
            }
            state = self.shared.wait(state);
        };
        self.next += 1;
        state.delivered = self.next;
        drop(state);
        self.shared.changed.notify_all();
        self.waited += asked.elapsed();
        Some(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // A panic inside was caught and delivered; one outside has nothing left to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A thread's whole life.
    fn work(&self) {
        let mut scratch = Scratch::default();
        while let Some((number, plan)) = self.take() {
            let started = Instant::now();
            let load = || self.pipeline.load_until(&plan, &mut scratch, &self.stop).transpose();
            let outcome = match catch_unwind(AssertUnwindSafe(load)) {
                Ok(None) => return,
                Ok(Some(outcome)) => Ok(outcome),
                Err(panic) => Err(panic),
            };
            let mut state = self.lock();
            state.speed.images += plan.views.len() as u64;
            state.speed.busy += started.elapsed();
            state.loaded.insert(number, outcome);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// The next plan, as soon as it is not too far ahead; nothing when there are no more.
    fn take(&self) -> Option<(u64, BatchPlan)> {
        let mut state = self.lock();
        loop {
            if state.ended || self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if state.taken < state.delivered + self.ahead {
                let Some(plan) = state.plans.next() else {
                    state.ended = true;
                    self.changed.notify_all();
                    return None;
                };
                state.taken += 1;
                return Some((state.taken - 1, plan));
            }
            state = self.wait(state);
        }
    }

    fn stop(&self) {
        // Under the lock, so that no thread misses it between looking and waiting.
        let state = self.state.lock();
        self.stop.store(true, Ordering::Relaxed);
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("plans do not panic")
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).expect("plans do not panic")
    }
}

#[cfg(test)]
mod tests;
