//! Numbers, lists and tables as people read them.

use std::{ops::Range, time::Duration};

use indicatif::HumanCount;

/// A whole number with separated thousands: `2,400,000`.
pub fn thousands(value: u64) -> String {
    HumanCount(value).to_string()
}

/// `12.3 ms`, of three digits or more.
pub fn milliseconds(time: Duration) -> String {
    let value = 1e3 * time.as_secs_f64();
    let decimals = [100.0, 10.0, 1.0].into_iter().filter(|limit| value < *limit).count();
    format!("{value:.decimals$} ms")
}

/// `1 seed`, `3 seeds`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number as u64), if number == 1 { one } else { many })
}

/// `23.4 GiB`, `512 KiB`.
pub fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    let decimals = usize::from(value < 100.0 && unit != "B");
    format!("{value:.decimals$} {unit}")
}

/// Entries of a list that are shown one by one.
const SHOWN: usize = 12;

/// Numbers of every layer: `8` where all agree, else `4, 4, 6, 8`, or `12 x 4, 12 x 8` where that would
/// be long.
pub fn layer_list(numbers: &[usize]) -> String {
    match numbers {
        [first, rest @ ..] if rest.iter().all(|next| next == first) => first.to_string(),
        few if few.len() <= SHOWN => list(few),
        many => {
            let equal = many.chunk_by(|one, next| one == next);
            list(&equal.map(|run| format!("{} x {}", run.len(), run[0])).collect::<Vec<_>>())
        }
    }
}

/// Numbers in order, with many in a row abbreviated: `0, 2, 5 to 11`.
pub fn runs(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let texts = runs.map(|run| match run {
        [first, .., last] if run.len() > 4 => format!("{first} to {last}"),
        few => list(few),
    });
    list(&texts.collect::<Vec<_>>())
}

/// The first things of a list, and how many there are: `0, 1, 2, ... (48)`.
pub fn first<T: ToString>(things: &[T]) -> String {
    match things.get(..2 * SHOWN) {
        Some(shown) if things.len() > shown.len() => {
            format!("{}, ... ({})", list(shown), things.len())
        }
        _ => list(things),
    }
}

/// `4, 4, 6, 8`.
pub fn list<T: ToString>(things: &[T]) -> String {
    things.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// Columns as wide as their widest entry; those of numbers stand to the right.
pub fn table<const N: usize>(rows: &[[String; N]], numbers: Range<usize>) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (text, width))| {
            let is_number = numbers.contains(&column);
            if is_number { format!("{text:>width$}") } else { format!("{text:width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let texts = [0, 999, 1000, 123_456, 2_400_000].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "123,456", "2,400,000"]);
    }

    #[test]
    fn bytes_have_the_largest_unit_that_fits() {
        let texts = [0, 1023, 1024, 346_000_000, 25_125_558_681].map(bytes);
        assert_eq!(texts, ["0 B", "1023 B", "1.0 KiB", "330 MiB", "23.4 GiB"]);
    }

    #[test]
    fn equal_heads_are_shown_once() {
        assert_eq!(layer_list(&[8, 8, 8]), "8");
        assert_eq!(layer_list(&[4, 6, 8]), "4, 6, 8");
    }

    #[test]
    fn long_lists_are_abbreviated() {
        assert_eq!(layer_list(&[[4; 8], [6; 8]].concat()), "8 x 4, 8 x 6");
        assert_eq!(runs(&[0, 1, 2, 3, 5, 6, 7, 8, 9, 7]), "0, 1, 2, 3, 5 to 9, 7");
        assert_eq!(first(&[7; 24]).matches('7').count(), 24);
        assert!(first(&[7; 25]).ends_with("7, 7, ... (25)"));
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["name", "n", "m", "k", "x"], ["mnist", "10", "9", "1,000", "MIT"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows, 1..4), "name    n  m      k  x\nmnist  10  9  1,000  MIT");
    }
}
