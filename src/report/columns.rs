//! How wide a text is on a terminal, and a line cut to fit one.

/// What stands for the middle of a path.
const GAP: &str = "...";

/// Characters that take two columns, as far as terminals agree, and those of which they do not: a
/// line may be too short and must not be too long.
const WIDE: [(char, char); 14] = [
    ('\u{1100}', '\u{115f}'),
    ('\u{2190}', '\u{21ff}'),
    ('\u{2300}', '\u{23ff}'),
    ('\u{2460}', '\u{2bff}'),
    ('\u{2e80}', '\u{a4cf}'),
    ('\u{a960}', '\u{a97f}'),
    ('\u{ac00}', '\u{d7a3}'),
    ('\u{f900}', '\u{faff}'),
    ('\u{fe10}', '\u{fe19}'),
    ('\u{fe30}', '\u{fe6f}'),
    ('\u{ff00}', '\u{ff60}'),
    ('\u{ffe0}', '\u{ffe6}'),
    ('\u{1f000}', '\u{1faff}'),
    ('\u{20000}', '\u{3fffd}'),
];

/// Columns that a character takes at most.
fn columns_of(c: char) -> usize {
    let is_wide = WIDE
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&c));
    1 + usize::from(is_wide)
}

/// Columns that a text takes at most.
fn columns_in(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// How many bytes of these characters take so many columns at most.
fn bytes_within(chars: impl Iterator<Item = char>, columns: usize) -> usize {
    let (mut bytes, mut taken) = (0, 0);
    for c in chars {
        taken += columns_of(c);
        if taken > columns {
            break;
        }
        bytes += c.len_utf8();
    }
    bytes
}

/// What is said before and after a path, in so many columns: what is too much is left out in the
/// middle of the path, then the path, then the end of what is said.
pub(super) fn fitted((before, after): (&str, &str), path: &str, columns: usize) -> String {
    let whole = format!("{before}{path}{after}");
    if columns_in(&whole) <= columns {
        return whole;
    }
    let said = columns_in(before) + columns_in(after);
    let room = columns.saturating_sub(said + GAP.len());
    // Less tells nothing.
    if path.is_empty() || room < 2 * GAP.len() {
        let mut rest = format!("{}{after}", before.trim_end_matches([':', ' ']));
        rest.truncate(bytes_within(rest.chars(), columns));
        return rest;
    }
    // The name at its end says more than the folders it begins with.
    let start = bytes_within(path.chars(), room / 2);
    let end = bytes_within(path.chars().rev(), room - columns_in(&path[..start]));
    let (start, end) = (&path[..start], &path[path.len() - end..]);
    format!("{before}{start}{GAP}{end}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: (&str, &str) = ("3 files: ", "");

    #[test]
    fn a_line_that_fits_stays_whole() {
        assert_eq!(fitted(SAID, "a/b", 12), "3 files: a/b");
        assert_eq!(fitted(("3 files", ""), "", 7), "3 files");
    }

    #[test]
    fn a_line_is_cut_in_the_middle_of_the_path() {
        let path = "projects/2026/summer/holidays/video.bin";
        assert_eq!(fitted(SAID, path, 30), "3 files: projects/...video.bin");
        assert_eq!(fitted(SAID, path, 18), "3 files: pro...bin");
        let hashing = fitted(("hashing ", ": 1 of 2 MiB"), path, 34);
        assert_eq!(hashing, "hashing proje...eo.bin: 1 of 2 MiB");
        // A path of two letters would tell nothing.
        assert_eq!(fitted(SAID, path, 14), "3 files");
        assert_eq!(fitted(SAID, path, 4), "3 fi");
        assert_eq!(fitted(SAID, path, 0), "");
    }

    #[test]
    fn no_line_is_wider_than_its_room() {
        let paths = [
            "\u{65e5}\u{672c}\u{8a9e}/\u{6620}\u{753b}/\u{5bb6}\u{65cf}\u{65c5}\u{884c}.mov",
            "\u{1f600}\u{1f3d6}\u{fe0f}\u{2b50}/Zu\u{308}rich \u{ff21}\u{ff22}\u{ff23}.items",
            "plain/and/simple/but/long/enough/to/be/cut/somewhere",
        ];
        for path in paths {
            for columns in 0..80 {
                let line = fitted(("97 of 416 MiB: ", ""), path, columns);
                assert!(columns_in(&line) <= columns, "{columns}: {line}");
            }
        }
        assert_eq!(columns_in("\u{65e5}a\u{1f600}\u{d55c}"), 7);
        assert!(WIDE.is_sorted() && WIDE.iter().all(|(first, last)| first <= last));
    }
}
