//! Numbers and lists in messages, as people read them.

use std::fmt::Debug;

/// Entries of a list that is shown whole: more than most models have layers.
const MANY: usize = 32;

/// A list, or of a long one its ends alone: `[0, 1, 2, ..., 900]`.
pub(crate) fn list<T: Debug>(list: &[T]) -> String {
    match list {
        [first, second, third, .., last] if list.len() > MANY => {
            format!("[{first:?}, {second:?}, {third:?}, ..., {last:?}]")
        }
        _ => format!("{list:?}"),
    }
}

/// `2,400,000 bytes`.
pub(crate) fn bytes(bytes: u64) -> String {
    let digits = bytes.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits are ASCII"))
        .collect();
    format!("{} bytes", groups.join(","))
}

/// A bound that a number keeps, of four digits.
pub(crate) fn bound(number: f64) -> f64 {
    if number == 0.0 {
        return 0.0;
    }
    let scale = 10_f64.powi(3 - number.abs().log10().floor() as i32);
    (number * scale).ceil() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_shown_by_their_ends() {
        assert_eq!(list(&[4, 5]), "[4, 5]");
        assert_eq!(list::<usize>(&[]), "[]");
        assert_eq!(list(&(0..901).collect::<Vec<_>>()), "[0, 1, 2, ..., 900]");
    }

    #[test]
    fn bytes_have_separated_thousands() {
        let texts = [0, 999, 1000, 2_400_000].map(bytes);
        assert_eq!(texts, ["0 bytes", "999 bytes", "1,000 bytes", "2,400,000 bytes"]);
    }

    #[test]
    fn bounds_are_short_and_no_smaller() {
        let bounds = [0.0, 0.012_345_678, 0.5, 3.000_01].map(bound);
        assert_eq!(bounds, [0.0, 0.01235, 0.5, 3.001]);
    }
}
