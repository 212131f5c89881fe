//! What may be wrong with a device that was asked for.

use thiserror::Error;

/// A device that this program or this machine does not have.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// A name that no device of this program has.
    #[error("unknown device `{name}`; this program was built with: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The backends of this program.
        known: String,
    },
    /// A backend that exists but is not part of this program.
    #[error(
        "device `{name}` is not in this program, which was built with: {known}; \
         `cargo install --path crates/learngene --features {feature}` builds one with it"
    )]
    NotBuilt {
        /// What was asked for.
        name: String,
        /// Its feature.
        feature: &'static str,
        /// The backends of this program.
        known: String,
    },
    /// What follows the name is no number.
    #[error("device `{name}` wants a number after the colon, as in `{backend}:0`")]
    Index {
        /// What was asked for.
        name: String,
        /// The backend.
        backend: String,
    },
    /// A number after the name of what there is one of.
    #[error("device `{name}` takes no number: it is `{backend}`")]
    Single {
        /// What was asked for.
        name: String,
        /// The backend.
        backend: String,
    },
    /// The machine has no such device.
    #[error("no device {device}: this machine has {found} of {backend}, which needs {needs}")]
    Absent {
        /// What was asked for.
        device: String,
        /// Devices of the backend on this machine.
        found: usize,
        /// The backend.
        backend: &'static str,
        /// What the backend asks of a machine.
        needs: &'static str,
    },
    /// The driver refused.
    #[error("device {device} cannot be opened: {reason}")]
    Refused {
        /// What was asked for.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// What follows `remote:` is no address.
    #[cfg(feature = "remote")]
    #[error("device `{name}` wants an address after the colon, as in `remote:ws://host:3000`")]
    Address {
        /// What was asked for.
        name: String,
    },
    /// Nothing that offers a device answers.
    #[cfg(feature = "remote")]
    #[error(
        "no answer from {device}: {reason}; `learngene serve` offers a device of the machine where \
         it runs"
    )]
    Unanswered {
        /// What was asked for.
        device: String,
        /// Why, as the system says it.
        reason: String,
    },
    /// The same device twice among several.
    #[error("device {device} is named twice; only the CPU can work twice at once")]
    Twice {
        /// What was asked for.
        device: String,
    },
    /// Fused operations are on or off for all devices.
    #[error("flex and flex-plain cannot work together: fused operations are on or off for all")]
    Mixed,
}
