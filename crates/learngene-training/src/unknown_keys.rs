//! Keys of a recipe that no recipe has.

/// Likeness of two keys from which one may be a misspelling of the other.
const ALIKE: f64 = 0.75;

/// Refuses the first key of a table that the known one lacks, naming the nearest that it has.
pub(crate) fn refuse_unknown_keys(table: &toml::Table, known: &toml::Table) -> Result<(), String> {
    for (key, value) in table {
        match (value, known.get(key)) {
            (toml::Value::Table(inner), Some(toml::Value::Table(known))) => {
                refuse_unknown_keys(inner, known)
                    .map_err(|reason| format!("in [{key}]: {reason}"))?;
            }
            (_, Some(_)) => {}
            (_, None) => return Err(format!("unknown key `{key}`; {}", nearest(key, known))),
        }
    }
    Ok(())
}

fn nearest(key: &str, known: &toml::Table) -> String {
    let likeness = |other: &str| strsim::jaro_winkler(key, other);
    let nearest = known.keys().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|nearest| likeness(nearest) >= ALIKE) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            format!("known are {}", known.join(", "))
        }
    }
}
