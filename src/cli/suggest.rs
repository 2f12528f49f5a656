//! The name somebody may have meant: the nearest of those there are.

/// The nearest of some names, if any is near enough to have been meant.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let measured = names.map(|name| {
        let lower = name.to_lowercase();
        // Whoever stopped in the middle of a word meant the word.
        let is_beginning = typed.len() >= 3 && lower.starts_with(&typed);
        let steps = if is_beginning {
            1
        } else {
            distance(&typed, &lower)
        };
        let letters = typed.chars().count().max(lower.chars().count());
        (steps <= letters.div_ceil(3)).then_some((steps, name))
    });
    let near = measured.flatten();
    near.min_by_key(|(steps, _)| *steps).map(|(_, name)| name)
}

/// How many letters have to be put in, taken out, replaced or swapped with their neighbour to make
/// one word the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (row, letter) in one.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, &facing) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != facing);
            let mut least = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let is_swapped = column > 0 && previous == Some(facing) && other[column - 1] == letter;
            if is_swapped {
                least = least.min(before_last[column - 1] + 1);
            }
            current.push(least);
        }
        previous = Some(letter);
        before_last = std::mem::replace(&mut last, current);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found_and_nothing_else() {
        let names = || ["sync", "status", "startAuthentication", "dry-run", "why"].into_iter();
        for (typed, meant) in [
            ("sny", Some("sync")),
            ("snyc", Some("sync")),
            ("synch", Some("sync")),
            ("SYNC", Some("sync")),
            ("stauts", Some("status")),
            ("startauthentication", Some("startAuthentication")),
            ("start", Some("startAuthentication")),
            ("dryrun", Some("dry-run")),
            ("wyh", Some("why")),
            ("sing", Some("sync")),
            ("nothing", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names()), meant, "{typed}");
        }
    }

    #[test]
    fn letters_are_counted() {
        for (one, other, steps) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abcd", "badc", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), steps, "{one} {other}");
        }
    }
}
