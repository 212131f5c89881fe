use thiserror::Error;

use crate::shown;

/// A setting that cannot be chosen.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum TuneError {
    /// A size of nothing.
    #[error("the largest size must be at least 1 byte, got 0")]
    NoBytes,
    /// A share that is none.
    #[error("the largest size must be a share above 0 %, at most 100 %, got {got} %")]
    Share {
        /// The refused share, in percent.
        got: f64,
    },
    /// An error that no setting could have, or any could.
    #[error("the largest feature error must be a finite number of 0 or more, got {got}")]
    MaxError {
        /// The refused error.
        got: f64,
    },
    /// Fewer bytes than the smallest learngene has.
    #[error(
        "no setting makes a learngene of at most {} ({:.1} % of the ancestor's parameters): the \
         smallest that clustering can make has {} ({:.1} %){}",
        shown::bytes(*want),
        percent(*want, *ancestor),
        shown::bytes(*least),
        percent(*least, *ancestor),
        if *joined { "" } else {
            "; feed-forward networks were not to be joined (--heads-only), which makes smaller ones"
        }
    )]
    TooSmall {
        /// Bytes of the smallest.
        least: u64,
        /// Bytes wanted at most.
        want: u64,
        /// Bytes of the ancestor's parameters.
        ancestor: u64,
        /// Whether feed-forward networks were joined too.
        joined: bool,
    },
    /// Less error than the largest learngene has.
    #[error("no setting has a feature error of at most {want}: the least is {}", shown::bound(*least))]
    TooExact {
        /// The least error.
        least: f64,
        /// The error wanted at most.
        want: f64,
    },
    /// Nothing to draw resamples from.
    #[error("resampling images needs at least 2 of them, got {got}")]
    FewImages {
        /// Images.
        got: usize,
    },
    /// No resample.
    #[error("the number of resamples must be at least 1, got 0")]
    NoResamples,
    /// A curve whose points are not a curve.
    #[error("{field} must be {wanted}, got {got}")]
    Curve {
        /// The field at fault.
        field: String,
        /// What stands there.
        got: String,
        /// What should.
        wanted: &'static str,
    },
}

fn percent(part: u64, of: u64) -> f64 {
    100.0 * part as f64 / of as f64
}
