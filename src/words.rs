//! Numbers, sizes and names as people read them.

/// What a terminal or a log shows as nothing, as something else, or in another order: characters of
/// format (Cf), separators of lines and paragraphs (Zl, Zp), and those for private use (Co), as of
/// Unicode 16.
const UNSEEN: [(char, char); 22] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
    ('\u{f0000}', '\u{10ffff}'),
];

/// Whether a character shows as itself, and moves nothing.
fn is_seen(c: char) -> bool {
    !c.is_control()
        && !UNSEEN
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&c))
}

/// A text in one line, with each character that does not show as itself escaped: it cannot move the
/// cursor of a terminal, fake a second line, or turn the order of letters round. Names in it are to
/// be [`printable`].
pub fn visible(text: &str) -> String {
    escaped(text, is_seen)
}

/// A name from outside as it stands in a text: as [`visible`], and a backslash is escaped as well,
/// so that no two names look the same.
pub fn printable(name: &str) -> String {
    escaped(name, |c| c != '\\' && is_seen(c))
}

/// JSON with what does not show as itself written as JSON escapes it: it says the same.
pub fn visible_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_seen(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

fn escaped(text: &str, is_plain: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_plain(c) {
            true => out.push(c),
            false => out.extend(c.escape_default()),
        }
    }
    out
}

/// A number of things: `1 conflict`, `2,980 conflicts`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size for people.
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return counted(bytes, "byte", "bytes");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// A size with its unit: what it is to be divided by, and the name.
fn unit_of(bytes: u64) -> (f64, &'static str) {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut scale = 1024.0;
    for unit in UNITS {
        if (bytes as f64) < scale * 1024.0 {
            return (scale, unit);
        }
        scale *= 1024.0;
    }
    (scale / 1024.0, UNITS[4])
}

/// A size for people who see it change: `97 MiB`, `7.4 MiB`.
pub fn short_size(bytes: u64) -> String {
    if bytes < 1024 {
        return counted(bytes, "byte", "bytes");
    }
    let (scale, unit) = unit_of(bytes);
    let digits = digits_of(bytes as f64 / scale);
    format!("{:.digits$} {unit}", bytes as f64 / scale)
}

/// So much of a size: `97 of 416 MiB`, `0.4 of 3.2 MiB`.
pub fn part_of(part: u64, whole: u64) -> String {
    if whole < 1024 {
        return format!("{part} of {}", counted(whole, "byte", "bytes"));
    }
    let (scale, unit) = unit_of(whole);
    let digits = digits_of(whole as f64 / scale);
    // What is missing does not look whole.
    let step = 10_f64.powi(digits as i32);
    let shown = (part as f64 / scale * step).floor() / step;
    format!(
        "{shown:.digits$} of {:.digits$} {unit}",
        whole as f64 / scale
    )
}

/// Digits behind the point that are worth showing.
fn digits_of(number: f64) -> usize {
    usize::from(number < 9.95)
}

/// A size for people, as it stands behind a path.
pub fn in_brackets(bytes: u64) -> String {
    format!("({})", size_text(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W5.
    #[test]
    fn w5_what_does_not_show_as_itself_is_escaped() {
        let name =
            "/\u{202e}gnp.exe \u{2028}\u{200b}\u{f8ff}\u{ad}\u{e0041}\u{10fffd}\u{1b}[2J\n\u{9b}";
        let shown = "/\\u{202e}gnp.exe \\u{2028}\\u{200b}\\u{f8ff}\\u{ad}\\u{e0041}\\u{10fffd}\
                     \\u{1b}[2J\\n\\u{9b}";
        assert_eq!(printable(name), shown);
        assert_eq!(visible(name), shown);
        let plain = "/Zu\u{308}rich/\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{1f600}.items";
        assert_eq!(printable(plain), plain);
        assert!(UNSEEN.is_sorted() && UNSEEN.iter().all(|(first, last)| first <= last));
    }

    /// W5.
    #[test]
    fn w5_json_says_the_same_in_letters_that_show() {
        let json = "[\"/\u{202e}\u{9b}\u{10fffd}\\u001b\u{e9}\"]";
        let shown = "[\"/\\u202e\\u009b\\udbff\\udffd\\u001b\u{e9}\"]";
        assert_eq!(visible_json(json), shown);
        let read = |json: &str| serde_json::from_str::<Vec<String>>(json).unwrap();
        assert_eq!(read(shown), read(json));
    }

    #[test]
    fn sizes_that_move_have_as_many_digits_as_can_be_read() {
        const MIB: u64 = 1 << 20;
        for (bytes, text) in [
            (1, "1 byte"),
            (1536, "1.5 KiB"),
            (97 * MIB + 5, "97 MiB"),
            (7 * MIB + 400_000, "7.4 MiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(short_size(bytes), text);
        }
        assert_eq!(part_of(97 * MIB, 416 * MIB), "97 of 416 MiB");
        assert_eq!(part_of(400 << 10, 3 * MIB), "0.3 of 3.0 MiB");
        assert_eq!(part_of(3, 900), "3 of 900 bytes");
        assert_eq!(part_of(114 * MIB - 1, 114 * MIB), "113 of 114 MiB");
    }

    /// W5.
    #[test]
    fn w5_no_two_names_look_the_same() {
        let (one, two) = ("/a\u{1b}", "/a\\u{1b}");
        assert_ne!(printable(one), printable(two));
        assert_eq!(printable(two), "/a\\\\u{1b}");
        // What was escaped stays as it is in a text.
        assert_eq!(visible(&printable(one)), printable(one));
        assert_eq!(visible(&printable(two)), printable(two));
    }
}
