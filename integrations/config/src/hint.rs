//! What somebody may have meant.

/// The one of `names` that is closest to `name`, if any is close.
pub(crate) fn meant<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let normal = |name: &str| name.to_lowercase().replace(['_', ' '], "-");
    let wanted = normal(name);
    // What a name may differ by: more for longer ones, never all of it.
    let most = (wanted.chars().count() / 3).clamp(1, 3);
    names
        .map(|candidate| (distance(&wanted, &normal(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// ` is `x` meant?` or nothing.
pub(crate) fn question<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    meant(name, names).map(|likely| format!(": is `{likely}` meant?")).unwrap_or_default()
}

/// How many characters have to be put in, taken out or replaced.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut next = vec![index + 1];
        for ((b, replace), put_in) in to.iter().zip(&row).zip(row.iter().skip(1)) {
            let take_out = next.last().copied().unwrap_or(0);
            next.push((replace + usize::from(a != *b)).min(put_in + 1).min(take_out + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_ones_only() {
        let names = ["as", "passive", "port", "communities", "router-id"];
        let meant = |name| meant(name, names.into_iter());
        assert_eq!(meant("pasive"), Some("passive"));
        assert_eq!(meant("community"), Some("communities"));
        assert_eq!(meant("router_id"), Some("router-id"));
        assert_eq!(meant("Router-ID"), Some("router-id"));
        assert_eq!(meant("asn"), Some("as"));
        assert_eq!(meant("x"), None);
        assert_eq!(meant("xy"), None);
        assert_eq!(meant(""), None);
        assert_eq!(meant("something"), None);
    }
}
