//! How errors are told together with what caused them.

use std::{error::Error, iter};

/// The message of an error and of everything that caused it on one line, without those that the one before says too.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut messages: Vec<String> = Vec::new();
    for error in iter::successors(Some(error), |&error| error.source()) {
        let message = error.to_string();
        if messages.last().is_none_or(|last| !last.contains(&message)) {
            messages.push(message);
        }
    }
    messages.join(": ")
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use super::*;
    use crate::DatasetError;

    #[test]
    fn causes_follow_unless_they_repeat() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = DatasetError::io("write", Path::new("a"))(full);
        assert_eq!(with_causes(&error), "cannot write a: no storage space");
        let source = image::ImageError::Decoding(image::error::DecodingError::new(
            image::error::ImageFormatHint::Exact(image::ImageFormat::Jpeg),
            "the file is truncated",
        ));
        let error = DatasetError::BadImage { path: "b.jpg".into(), source };
        let said = with_causes(&error);
        assert_eq!(said.matches("the file is truncated").count(), 1, "{said}");
    }
}
