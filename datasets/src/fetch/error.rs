//! What can go wrong between an address and a dataset in the cache.

/// Why a dataset was not fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A file came over the network with the wrong contents.
    #[error("{what} has the checksum {got}, wanted {want}")]
    Checksum {
        /// The file.
        what: String,
        /// Its checksum in hexadecimal.
        got: String,
        /// The checksum it should have.
        want: String,
    },

    /// An address could not be downloaded.
    #[error("cannot download {url}: {reason}")]
    Download {
        /// The address.
        url: String,
        /// Why it failed.
        reason: String,
    },

    /// The mirror of a dataset failed.
    #[error("cannot get the mirror {package}: {reason}")]
    Mirror {
        /// The package that holds the dataset.
        package: &'static str,
        /// Why it failed.
        reason: String,
    },

    /// An archive lacks a file, or has one of another form.
    #[error("{archive}: {file} {reason}")]
    Archive {
        /// The archive.
        archive: String,
        /// The file in it.
        file: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A file was to be downloaded that nobody published a checksum of.
    #[error("no checksum of {file} is published; it is not downloaded")]
    NoChecksum {
        /// The file.
        file: String,
    },

    /// A dataset that `learngene data fetch` does not bring.
    #[error(
        "{name} is not fetched; `learngene list datasets` says which are, and where to get the others"
    )]
    NotFetchable {
        /// What was asked for.
        name: String,
    },

    /// A dataset could be fetched neither from its own address nor from a mirror.
    #[error("cannot fetch {name}: {reasons}")]
    NoWay {
        /// Name of the dataset.
        name: &'static str,
        /// Why each way failed, in the order in which they were tried.
        reasons: String,
    },
}
