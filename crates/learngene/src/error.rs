//! How an error is shown: the outermost message, then its causes on one line.

/// The messages of an error and its causes, without those that repeat the one before.
pub fn chain(error: &anyhow::Error) -> String {
    let mut messages: Vec<String> = Vec::new();
    for cause in error.chain() {
        let message = cause.to_string();
        if messages.last().is_none_or(|last| !last.contains(&message)) {
            messages.push(message);
        }
    }
    messages.join(": ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_follow_unless_they_repeat() {
        let error = anyhow!("end of file")
            .context("cannot read a.bin: end of file")
            .context("no learngene");
        assert_eq!(chain(&error), "no learngene: cannot read a.bin: end of file");
    }
}
