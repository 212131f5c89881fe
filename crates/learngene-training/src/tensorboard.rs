//! Metrics for TensorBoard: records of events, each a length, a protobuf message, and checksums of
//! both.
//!
//! Source: TensorFlow's `tfrecord` format and `event.proto`. The step stands for the time of an event,
//! so that equal runs leave equal files.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use learngene_tensors::{Error, write_whole};

use crate::{Metrics, error::Result};

/// An event file that grows by one event for each evaluation.
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Writes a new file with the earlier evaluations of the run.
    pub(crate) fn create(path: &Path, earlier: &[Metrics]) -> Result<Self> {
        let events = earlier.iter().map(|metrics| record(&event(metrics)));
        write_whole(path, std::iter::once(record(&version())).chain(events))
            .map_err(Error::write(path))?;
        let file = OpenOptions::new().append(true).open(path).map_err(Error::write(path))?;
        Ok(Self { path: path.into(), file })
    }

    /// Adds an evaluation. The file is not replaced, since TensorBoard may be reading it.
    pub(crate) fn append(&mut self, metrics: &Metrics) -> Result<()> {
        let event = record(&event(metrics));
        Ok(self.file.write_all(&event).map_err(Error::write(&self.path))?)
    }
}

/// The first event of every file.
fn version() -> Vec<u8> {
    let mut event = Vec::new(); // Its time is 0, which protobuf omits.
    bytes(&mut event, 3, b"brain.Event:2"); // file_version
    event
}

/// An evaluation, one value for each curve.
fn event(metrics: &Metrics) -> Vec<u8> {
    let Metrics { step, learning_rate, train_loss, test, ema, .. } = metrics;
    let mut curves = vec![
        ("learning_rate", *learning_rate),
        ("loss/train", *train_loss),
        ("loss/test", test.loss),
        ("top1/test", test.top1),
        ("top5/test", test.top5),
    ];
    if let Some(ema) = ema {
        curves.extend([("loss/ema", ema.loss), ("top1/ema", ema.top1), ("top5/ema", ema.top5)]);
    }
    let mut summary = Vec::new();
    for (tag, number) in curves {
        let mut value = Vec::new();
        bytes(&mut value, 1, tag.as_bytes());
        float(&mut value, 2, number as f32);
        bytes(&mut summary, 1, &value);
    }
    let mut event = Vec::new();
    double(&mut event, 1, *step as f64); // wall_time
    integer(&mut event, 2, *step as u64); // step
    bytes(&mut event, 5, &summary); // summary
    event
}

/// Length, checksum of the length, data, checksum of the data; little endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length, &masked_crc(&length)[..], data, &masked_crc(data)].concat()
}

/// CRC-32C, rotated and offset so that checksums of data that contains checksums stay useful.
fn masked_crc(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

// Fields of protobuf: a key, 8 x number + kind, then the value.

fn double(message: &mut Vec<u8>, number: u64, value: f64) {
    varint(message, number << 3 | 1);
    message.extend(value.to_le_bytes());
}

fn float(message: &mut Vec<u8>, number: u64, value: f32) {
    varint(message, number << 3 | 5);
    message.extend(value.to_le_bytes());
}

fn integer(message: &mut Vec<u8>, number: u64, value: u64) {
    varint(message, number << 3);
    varint(message, value);
}

fn bytes(message: &mut Vec<u8>, number: u64, value: &[u8]) {
    varint(message, number << 3 | 2);
    varint(message, value.len() as u64);
    message.extend(value);
}

/// Seven bits a byte, lowest first; the eighth bit is set if more bytes follow.
fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Evaluation;

    /// `fixtures/events.tfevents` was written by TensorBoard's own writer, see
    /// `fixtures/make_events.py`.
    #[test]
    fn events_are_those_of_tensorboards_writer() {
        let metrics = |step| Metrics {
            epoch: 1.0,
            step,
            learning_rate: 0.25,
            train_loss: 2.5,
            test: Evaluation { top1: 50.0, top5: 75.0, loss: 1.5, images: 8 },
            ema: Some(Evaluation { top1: 25.0, top5: 50.0, loss: 2.0, images: 8 }),
        };
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("events");
        let mut file = EventFile::create(&path, &[metrics(3)]).expect("the folder is writable");
        file.append(&metrics(300)).expect("the folder is writable");
        let written = std::fs::read(path).expect("just written");
        assert_eq!(written, include_bytes!("../fixtures/events.tfevents"));
    }
}
