//! Names with numbers in them: `blocks.{}.attn.qkv`.

/// The numbers that a name has in place of each `{}` of a pattern, one less in place of `{next}`, and
/// what follows; none where the name does not begin so.
pub(super) fn capture<'a>(pattern: &str, name: &'a str) -> Option<(Vec<usize>, &'a str)> {
    let (mut pattern, mut name, mut numbers) = (pattern, name, Vec::new());
    while let Some((literal, slot, rest)) = split(pattern) {
        let digits = name.strip_prefix(literal)?;
        name = digits.trim_start_matches(|character: char| character.is_ascii_digit());
        let number: usize = digits[..digits.len() - name.len()].parse().ok()?;
        numbers.push(if slot == "next" { number.checked_sub(1)? } else { number });
        pattern = rest;
    }
    Some((numbers, name.strip_prefix(pattern)?))
}

/// The pattern with these numbers in place of each `{}`, one more in place of `{next}`.
pub(super) fn fill(pattern: &str, numbers: &[usize]) -> String {
    let (mut pattern, mut name) = (pattern, String::new());
    for number in numbers {
        let Some((literal, slot, rest)) = split(pattern) else { break };
        let number = number.saturating_add(usize::from(slot == "next"));
        name.extend([literal, &number.to_string()]);
        pattern = rest;
    }
    name + pattern
}

/// Whether a name begins as a pattern does.
pub(super) fn starts(pattern: &str, name: &str) -> bool {
    capture(pattern, name).is_some()
}

/// `a.{next}.b` to `("a.", "next", ".b")`.
fn split(pattern: &str) -> Option<(&str, &str, &str)> {
    let (literal, rest) = pattern.split_once('{')?;
    let (slot, rest) = rest.split_once('}')?;
    Some((literal, slot, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_from_one_pattern_to_the_other() {
        let (numbers, rest) = capture("a.{}.b.{}.c", "a.3.b.12.c.weight").expect("it fits");
        assert_eq!((&numbers[..], rest), (&[3, 12][..], ".weight"));
        assert_eq!(fill("x.{next}.y.{}", &numbers), "x.4.y.12");
        assert_eq!(capture("x.{next}.y.{}", "x.4.y.12"), Some((numbers, "")));
        for other in ["a..b.1.c", "a.x.b.1.c", "a.1.b.1", "a.99999999999999999999.b.1.c"] {
            assert_eq!(capture("a.{}.b.{}.c", other), None);
        }
        assert_eq!(capture("x.{next}", "x.0"), None);
    }
}
