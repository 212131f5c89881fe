//! Order, bounds, errors and the end of a loader.

use std::sync::atomic::AtomicUsize;

use image::RgbImage;

use super::*;
use crate::pipeline::tests::pipeline;
use crate::{Augment, Dataset, Preprocess, View, plan_epoch};

/// Black images of 4 x 4 pixels that count how often they are read; some cannot be, some make a thread panic.
struct Counted {
    images: usize,
    read: Arc<AtomicUsize>,
    bad: Vec<usize>,
    panicking: Option<usize>,
    delay: Duration,
}

impl Dataset for Counted {
    fn len(&self) -> usize {
        self.images
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn label(&self, _: usize) -> Option<usize> {
        None
    }

    fn image(&self, index: usize) -> Result<RgbImage, DatasetError> {
        self.read.fetch_add(1, Ordering::SeqCst);
        thread::sleep(self.delay);
        assert_ne!(Some(index), self.panicking, "the reader has a fault");
        match self.bad.contains(&index) {
            true => Err(DatasetError::IndexOutOfRange { index, len: self.images }),
            false => Ok(RgbImage::new(4, 4)),
        }
    }

    fn name(&self, index: usize) -> String {
        index.to_string()
    }
}

fn workers(threads: usize, ahead: usize) -> Workers {
    let count = |count| NonZeroUsize::new(count).expect("not zero");
    Workers { threads: count(threads), ahead: count(ahead) }
}

fn plans(images: usize, batch_size: usize) -> Vec<BatchPlan> {
    let views: Vec<View> = (0..images).map(View::from).collect();
    plan_epoch(1, &views, NonZeroUsize::new(batch_size).expect("not zero")).collect()
}

/// Batches of four from such images, and the counter of those read.
fn counted(dataset: Counted, workers: Workers) -> (Loader, Arc<AtomicUsize>) {
    let read = Arc::clone(&dataset.read);
    let plans = plans(dataset.images, 4);
    let pipeline = Pipeline {
        dataset: Arc::new(dataset),
        preprocess: Preprocess::new(4).check().expect("the settings are valid"),
        augment: None,
        seed: 0,
        label_smoothing: 0.0,
    };
    (Loader::start(pipeline, plans, workers).expect("there are threads"), read)
}

fn dataset(images: usize) -> Counted {
    let (bad, delay) = (Vec::new(), Duration::ZERO);
    Counted { images, read: Arc::default(), bad, panicking: None, delay }
}

/// Waits until so many images were read, and a little longer for more.
fn settled(read: &AtomicUsize, want: usize) -> usize {
    let begun = Instant::now();
    while read.load(Ordering::SeqCst) < want && begun.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(50));
    read.load(Ordering::SeqCst)
}

fn check_order(threads: usize, ahead: usize) {
    let pipeline = pipeline(Augment::deit());
    let want: Vec<Batch> =
        plans(50, 8).iter().map(|plan| pipeline.load(plan).expect("in memory")).collect();
    let loader = Loader::start(pipeline, plans(50, 8), workers(threads, ahead));
    let got: Result<Vec<Batch>, _> = loader.expect("there are threads").collect();
    assert!(got.expect("in memory") == want, "{threads} threads, {ahead} ahead");
}

#[test]
fn batches_come_in_order_whatever_the_threads() {
    check_order(1, 1);
    check_order(1, 5);
    check_order(4, 2);
    check_order(4, 100);
}

#[test]
fn no_plans_give_no_batches() {
    let (mut loader, _) = counted(dataset(0), workers(3, 3));
    assert!(loader.next().is_none());
    assert!(loader.next().is_none());
}

#[test]
fn batches_are_loaded_before_they_are_asked_for_but_not_too_many() {
    let (mut loader, read) = counted(dataset(40), workers(2, 3));
    assert_eq!(settled(&read, 12), 12);
    loader.next();
    assert_eq!(settled(&read, 16), 16);
    assert_eq!(loader.count(), 9);
}

#[test]
fn an_error_comes_in_its_place_and_the_others_follow() {
    let (loader, _) = counted(Counted { bad: vec![5, 13], ..dataset(20) }, workers(3, 4));
    let outcomes: Vec<String> = loader
        .map(|batch| match batch {
            Ok(batch) => batch.shape[0].to_string(),
            Err(error) => error.to_string(),
        })
        .collect();
    let bad = |index| format!("image {index} was asked for, but the dataset has 20");
    assert_eq!(outcomes, ["4".into(), bad(5), "4".into(), bad(13), "4".into()]);
}

#[test]
fn dropped_it_stops_within_a_batch() {
    let slow = Counted { delay: Duration::from_millis(5), ..dataset(40_000) };
    let (loader, read) = counted(slow, workers(2, 1_000));
    settled(&read, 1);
    drop(loader);
    let after = read.load(Ordering::SeqCst);
    assert!(after < 4_000, "it read all that it may have ahead, {after} images");
    assert_eq!(settled(&read, after), after);
}

#[test]
#[should_panic(expected = "the reader has a fault")]
fn a_panic_of_a_reader_reaches_the_asker() {
    let (loader, _) = counted(Counted { panicking: Some(6), ..dataset(20) }, workers(2, 2));
    loader.for_each(drop);
}

#[test]
fn speed_counts_images_and_time() {
    let slow = Counted { delay: Duration::from_millis(2), ..dataset(12) };
    let (mut loader, _) = counted(slow, workers(2, 2));
    assert_eq!(loader.by_ref().count(), 3);
    let speed = loader.speed();
    assert_eq!(speed.images, 12);
    // A thread sleeps no shorter than it is told.
    assert!(speed.busy >= Duration::from_millis(24) && !speed.waited.is_zero(), "{speed:?}");
}

#[test]
fn images_per_second_are_those_of_one_core() {
    let busy = |images, busy| LoaderSpeed { images, busy, ..LoaderSpeed::default() };
    assert_eq!(busy(30, Duration::from_millis(1_500)).images_per_second_per_core(), 20.0);
    assert_eq!(busy(0, Duration::ZERO).images_per_second_per_core(), 0.0);
}
