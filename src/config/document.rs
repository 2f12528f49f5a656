//! The TOML document as a flat list of known keys, each with its line and a typed reader.
//!
//! Unknown keys and sections, a key given twice under its two names and a section that is no
//! section end here. Values are checked by their readers; a value is never repeated in a
//! message about its type, so that a misplaced secret does not show.

use std::ops::RangeInclusive;
use std::path::Path;

use toml::de::{DeArray, DeTable, DeValue};

use super::ConfigError;
use super::keys::{self, ConfigKey, KEYS, LISTS, SECTIONS};

/// LIMIT: longer names, and values that are shown, are cut to this in messages; whoever pastes a
/// token in the wrong place should not find it in a log. The longest key has 21 characters.
const SHOWN_CHARS_MAX: usize = 24;
const CUT_CHARS: usize = 12;

/// The keys of one file.
pub(super) struct Document<'a> {
    file: &'a Path,
    text: &'a str,
    entries: Vec<Assignment<'a>>,
    tables: Vec<Table<'a>>,
    faults: Vec<ConfigError>,
    sections: Vec<(String, usize)>,
}

/// One section of those that may be there any number of times.
struct Table<'a> {
    section: String,
    line: usize,
    entries: Vec<Assignment<'a>>,
}

struct Assignment<'a> {
    key: &'static ConfigKey,
    written: String,
    line: usize,
    value: DeValue<'a>,
}

/// One key's value: the one in the file, or the default.
pub(super) struct Setting<'d> {
    key: &'static ConfigKey,
    file: &'d Path,
    text: &'d str,
    written: &'d str,
    line: Option<usize>,
    value: Value<'d>,
}

enum Value<'d> {
    Given(&'d DeValue<'d>),
    Default(DeValue<'static>),
}

impl<'a> Document<'a> {
    /// Reads the text.
    /// Whatever is wrong with its keys is among the [`faults`](Document::faults).
    ///
    /// # Errors
    /// It is no TOML.
    pub fn parse(file: &'a Path, text: &'a str) -> Result<Document<'a>, ConfigError> {
        let table = DeTable::parse(text).map_err(|error| syntax_error(file, text, &error))?;
        let mut document = Document {
            file,
            text,
            entries: Vec::new(),
            tables: Vec::new(),
            faults: Vec::new(),
            sections: Vec::new(),
        };
        let mut faults = Vec::new();
        document.walk("", table.into_inner(), &mut faults);
        document.entries.sort_by_key(|entry| entry.line);
        document.find_doubles(&mut faults);
        document.faults = faults;
        Ok(document)
    }

    /// Keys that are not known, or given twice.
    pub fn faults(&self) -> &[ConfigError] {
        &self.faults
    }

    /// Whether a key is given under the predecessor's name.
    pub fn has_predecessors_names(&self) -> bool {
        let is_alias = |entry: &Assignment<'_>| {
            let name = entry.written.rsplit('.').next();
            entry.key.alias.is_some() && entry.key.alias == name
        };
        self.entries.iter().any(is_alias)
    }

    /// Whether a key is given.
    pub fn is_given(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.key.path == path)
    }

    /// A key's value: given, else its default, else none.
    pub fn setting(&self, path: &str) -> Option<Setting<'_>> {
        let entry = self.entries.iter().find(|entry| entry.key.path == path);
        let given = entry.map(|entry| self.given(entry));
        given.or_else(|| self.default_of(path))
    }

    fn given<'d>(&'d self, entry: &'d Assignment<'d>) -> Setting<'d> {
        Setting {
            key: entry.key,
            file: self.file,
            text: self.text,
            written: &entry.written,
            line: Some(entry.line),
            value: Value::Given(&entry.value),
        }
    }

    /// The values of two keys that each section of this name has, in the order of the file; or what
    /// is missing.
    pub fn each<'d>(
        &'d self,
        section: &str,
        keys: [&str; 2],
    ) -> Vec<Result<[Setting<'d>; 2], ConfigError>> {
        let tables = self.tables.iter().filter(|table| table.section == section);
        let both = |table: &'d Table<'d>| {
            let of = |path: &str| {
                let entry = table.entries.iter().find(|entry| entry.key.path == path);
                entry.map(|entry| self.given(entry)).ok_or_else(|| {
                    let key = KEYS.iter().find(|key| key.path == path);
                    let (name, example) = key.map_or(("", ""), |key| (key.name(), key.example));
                    let remedy = format!("add it, as in {name} = {example}");
                    ConfigError {
                        line: Some(table.line),
                        ..self.missing(path, "is required and not given", &remedy)
                    }
                })
            };
            Ok([of(keys[0])?, of(keys[1])?])
        };
        tables.map(both).collect()
    }

    /// A key's default, if it has one.
    pub fn default_of(&self, path: &str) -> Option<Setting<'_>> {
        let key = KEYS.iter().find(|key| key.path == path)?;
        let value = DeValue::parse(key.default?).ok()?.into_inner();
        let value = Value::Default(value);
        Some(Setting {
            key,
            file: self.file,
            text: "",
            written: key.path,
            line: None,
            value,
        })
    }

    /// A key that must be there: one with a default always is.
    pub fn required(&self, path: &str) -> Result<Setting<'_>, ConfigError> {
        self.setting(path).ok_or_else(|| {
            let key = KEYS.iter().find(|key| key.path == path);
            let (section, name, example) = key.map_or(("", path, "..."), |key| {
                (key.section(), key.name(), key.example)
            });
            let remedy = format!("add it to [{section}], as in {name} = {example}");
            self.missing(path, "is required and not given", &remedy)
        })
    }

    /// A fault that has no line of its own: the section's is the best there is.
    pub fn missing(&self, path: &str, what: &str, remedy: &str) -> ConfigError {
        let section = path.rsplit_once('.').map_or("", |(section, _)| section);
        let line = self.sections.iter().find(|(known, _)| known == section);
        ConfigError {
            file: self.file.to_owned(),
            line: line.map(|(_, line)| *line),
            key: Some(path.to_owned()),
            what: what.to_owned(),
            remedy: remedy.to_owned(),
            next: None,
        }
    }

    fn walk(&mut self, section: &str, table: DeTable<'a>, faults: &mut Vec<ConfigError>) {
        for (name, value) in table {
            let line = line_of(self.text, name.span().start);
            let name = name.get_ref().as_ref();
            let written = joined(section, name);
            if let Some(key) = keys::known(section, name) {
                self.entries.push(Assignment {
                    key,
                    written,
                    line,
                    value: value.into_inner(),
                });
                continue;
            }
            let (what, remedy) = match value.into_inner() {
                DeValue::Table(inner) if SECTIONS.contains(&written.as_str()) => {
                    self.sections.push((written.clone(), line));
                    self.walk(&written, inner, faults);
                    continue;
                }
                DeValue::Array(array) if LISTS.contains(&written.as_str()) => {
                    self.walk_list(&written, array, faults);
                    continue;
                }
                _ if LISTS.contains(&written.as_str()) => (
                    "is a section that may be there several times",
                    format!(
                        "write a line {} and its keys below it",
                        keys::heading(&written)
                    ),
                ),
                _ if SECTIONS.contains(&written.as_str()) => (
                    "is a section, not a key",
                    format!("write a line [{written}] and its keys below it"),
                ),
                DeValue::Table(_) => ("unknown section", keys::section_remedy(&written)),
                DeValue::Array(array) if has_sections(&array) => {
                    ("unknown section", keys::section_remedy(&written))
                }
                _ => match keys::dead_key(name) {
                    Some(remedy) => (
                        "is a key that openHAB's add-on has not had for years",
                        remedy.to_owned(),
                    ),
                    None => ("unknown key", keys::remedy(section, name)),
                },
            };
            faults.push(ConfigError {
                file: self.file.to_owned(),
                line: Some(line),
                key: Some(joined(section, &short(name))),
                what: what.to_owned(),
                remedy,
                next: None,
            });
        }
    }

    /// Each of the sections of one name has keys of its own.
    fn walk_list(&mut self, section: &str, array: DeArray<'a>, faults: &mut Vec<ConfigError>) {
        for element in array {
            let line = line_of(self.text, element.span().start);
            let DeValue::Table(table) = element.into_inner() else {
                faults.push(ConfigError {
                    file: self.file.to_owned(),
                    line: Some(line),
                    key: Some(section.to_owned()),
                    what: "is a section, not a list".to_owned(),
                    remedy: format!(
                        "write a line {} and its keys below it",
                        keys::heading(section)
                    ),
                    next: None,
                });
                continue;
            };
            let others = std::mem::take(&mut self.entries);
            self.walk(section, table, faults);
            let mut entries = std::mem::replace(&mut self.entries, others);
            entries.sort_by_key(|entry| entry.line);
            self.tables.push(Table {
                section: section.to_owned(),
                line,
                entries,
            });
        }
        self.tables.sort_by_key(|table| table.line);
    }

    fn find_doubles(&self, faults: &mut Vec<ConfigError>) {
        for (at, entry) in self.entries.iter().enumerate() {
            let before = &self.entries[..at];
            if let Some(first) = before.iter().find(|first| first.key.path == entry.key.path) {
                faults.push(ConfigError {
                    file: self.file.to_owned(),
                    line: Some(entry.line),
                    key: Some(entry.written.clone()),
                    what: format!("is also given in line {} as {}", first.line, first.written),
                    remedy: format!("keep one of lines {} and {}", first.line, entry.line),
                    next: None,
                });
            }
        }
    }
}

/// Whether it is written as `[[section]]`.
fn has_sections(array: &DeArray<'_>) -> bool {
    let first = array.iter().next();
    first.is_some_and(|first| matches!(first.get_ref(), DeValue::Table(_)))
}

fn syntax_error(file: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map(|span| line_of(text, span.start));
    let is_double = error.message() == "duplicate key";
    let twice = line.filter(|_| is_double);
    if let Some((what, remedy)) = twice.and_then(|line| told_twice(text, line)) {
        return ConfigError {
            file: file.to_owned(),
            line,
            key: None,
            what,
            remedy,
            next: None,
        };
    }
    ConfigError {
        file: file.to_owned(),
        line: Some(error.span().map_or(1, |span| line_of(text, span.start))),
        key: None,
        what: format!("not valid TOML: {}", error.message()),
        remedy: "write key = value, each key once, text in \"quotes\", patterns in 'single' ones"
            .to_owned(),
        next: None,
    }
}

/// What is wrong with a line, and what to do, if it says a second time what a line before it says:
/// the head of a section, or a key of the same section.
fn told_twice(text: &str, line: usize) -> Option<(String, String)> {
    let heads = |line: &str| line.starts_with('[').then(|| head_of(line));
    let lines: Vec<&str> = text.lines().map(str::trim).take(line).collect();
    let (last, before) = lines.split_last()?;
    if let Some(head) = heads(last) {
        let first = before
            .iter()
            .position(|line| heads(line).as_ref() == Some(&head))?
            + 1;
        let head = short(&head);
        return Some((
            format!("{head} is there twice, in lines {first} and {line}"),
            format!("put its keys below the first {head}, and remove the second"),
        ));
    }
    let key_of = |line: &str| Some(line.split_once('=')?.0.trim().to_owned());
    let key = key_of(last).filter(|key| !key.is_empty())?;
    let section = before.iter().rposition(|line| line.starts_with('['));
    let start = section.map_or(0, |at| at + 1);
    let is_first = |line: &&str| key_of(line).as_ref() == Some(&key);
    let first = start + before[start..].iter().position(is_first)? + 1;
    Some((
        format!(
            "{} is there twice, in lines {first} and {line}",
            short(&key)
        ),
        "keep one of them".to_owned(),
    ))
}

/// `[section]` without blanks and what stands behind it.
fn head_of(line: &str) -> String {
    let end = line.rfind(']').map_or(line.len(), |at| at + 1);
    let head = line.split_once('#').map_or(&line[..end], |(head, _)| head);
    head.split_whitespace().collect()
}

/// Whether TOML takes this as a value.
pub(super) fn is_value(text: &str) -> bool {
    !text.is_empty() && DeTable::parse(&format!("k = {text}")).is_ok()
}

/// The text without a line that is no TOML, so that the rest can be read as well; nothing where the
/// line is no assignment: what follows would not mean what it says.
pub(super) fn without_line(text: &str, line: Option<usize>) -> Option<String> {
    let at = line?.checked_sub(1)?;
    let is_bad = |line: &&str| line.contains('=') && !line.trim_start().starts_with(['[', '#']);
    text.split('\n').nth(at).filter(is_bad)?;
    let kept = text.split('\n').enumerate();
    let kept = kept.map(|(number, line)| if number == at { "" } else { line });
    Some(kept.collect::<Vec<_>>().join("\n"))
}

fn joined(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

pub(super) fn short(text: &str) -> String {
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text.to_owned();
    }
    let start: String = text.chars().take(CUT_CHARS).collect();
    format!("{start}...")
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|&&byte| byte == b'\n')
        .count()
        + 1
}

impl Setting<'_> {
    /// The line in the file; none for a default.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// A value to show, without quotation marks.
    pub fn example(&self) -> &'static str {
        self.key.example.trim_matches('"')
    }

    /// A fault of this value.
    pub fn error(&self, what: &str, remedy: &str) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            line: self.line,
            key: Some(self.written.to_owned()),
            what: what.to_owned(),
            remedy: remedy.to_owned(),
            next: None,
        }
    }

    /// A string.
    pub fn text(&self) -> Result<&str, ConfigError> {
        match self.value() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.type_error("a string in quotes")),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Result<bool, ConfigError> {
        match self.value() {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.type_error("true or false without quotes")),
        }
    }

    /// `true` or `false`, or the predecessor's words for them. A word it would have taken for
    /// `false` without notice is refused: a mistyped `"ture"` must not end a dry run.
    pub fn lenient_flag(&self) -> Result<bool, ConfigError> {
        let DeValue::String(text) = self.value() else {
            return self.flag();
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" => Ok(true),
            "false" | "off" | "no" | "" => Ok(false),
            _ => Err(self.type_error("true or false")),
        }
    }

    /// A whole number.
    pub fn whole(&self, range: RangeInclusive<u64>) -> Result<u64, ConfigError> {
        let DeValue::Integer(integer) = self.value() else {
            return Err(self.type_error("a whole number"));
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.and_then(|number| u64::try_from(number).ok()) {
            Some(number) if range.contains(&number) => Ok(number),
            _ => Err(self.range_error(range.start(), range.end())),
        }
    }

    /// A number from 0 to 1.
    pub fn share(&self) -> Result<f64, ConfigError> {
        let number: Option<f64> = match self.value() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            _ => return Err(self.type_error("a number from 0.0 to 1.0")),
        };
        match number {
            Some(share) if (0.0..=1.0).contains(&share) => Ok(share),
            _ => Err(self.range_error("0.0", "1.0")),
        }
    }

    /// A list of strings, each with its line.
    pub fn list(&self) -> Result<Vec<(String, Option<usize>)>, ConfigError> {
        let DeValue::Array(array) = self.value() else {
            return Err(self.type_error("a list of strings"));
        };
        let strings = array.iter().map(|element| {
            let line = self.line.map(|_| line_of(self.text, element.span().start));
            match element.get_ref() {
                DeValue::String(text) => Ok((text.as_ref().to_owned(), line)),
                _ => Err(ConfigError {
                    line,
                    ..self.type_error("a list of strings only")
                }),
            }
        });
        strings.collect()
    }

    /// Whether the value is a string, for keys that may also be a list.
    pub fn is_text(&self) -> bool {
        matches!(self.value(), DeValue::String(_))
    }

    /// A fault of the value's type.
    pub fn type_error(&self, expected: &str) -> ConfigError {
        let found = match self.value() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        let remedy = format!("write it as in {} = {}", self.key.name(), self.key.example);
        self.error(&format!("expected {expected}, found {found}"), &remedy)
    }

    fn range_error(&self, from: impl ToString, to: impl ToString) -> ConfigError {
        let what = format!("must be from {} to {}", from.to_string(), to.to_string());
        self.error(
            &what,
            &format!("write it as in {} = {}", self.key.name(), self.key.example),
        )
    }

    fn value(&self) -> &DeValue<'_> {
        match &self.value {
            Value::Given(value) => value,
            Value::Default(value) => value,
        }
    }
}
