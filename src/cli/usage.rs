//! How a command is used: its line of usage, and its help, which fits into 80 columns.

use super::spec::{ArgumentSpec, CommandSpec, OptionSpec};

/// Columns of a help: over ssh a window has no more.
const COLUMNS: usize = 80;
/// What every command understands.
const HELP: OptionSpec = OptionSpec::flag("help", "Print help").short('h');
/// What the program understands.
const VERSION: OptionSpec = OptionSpec::flag("version", "Print version").short('V');

/// The command as it is typed, the program first.
pub fn full_name(path: &[&CommandSpec]) -> String {
    let names: Vec<&str> = path.iter().map(|command| command.name).collect();
    names.join(" ")
}

/// The line that shows how a command is used.
pub fn line(path: &[&CommandSpec]) -> String {
    let mut line = format!("Usage: {} [OPTIONS]", full_name(path));
    let Some(command) = path.last() else {
        return line;
    };
    if !command.commands.is_empty() {
        line.push_str(" <COMMAND>");
    }
    for argument in command.arguments {
        line.push(' ');
        line.push_str(&argument.usage());
    }
    line
}

/// The options of a command, then those of what it belongs to, then what all have.
pub fn options<'a>(path: &[&'a CommandSpec]) -> Vec<&'a OptionSpec> {
    let own_first = path.iter().rev().flat_map(|command| command.options);
    let mut options: Vec<&OptionSpec> = own_first.collect();
    options.push(&HELP);
    if path.len() == 1 {
        options.push(&VERSION);
    }
    options
}

/// The help of a command, the last of a path.
pub fn help(path: &[&CommandSpec]) -> String {
    let Some(command) = path.last() else {
        return String::new();
    };
    let mut out = format!("{}\n\n", command.about);
    if !command.details.is_empty() {
        out.push_str(&format!("{}\n\n", command.details));
    }
    out.push_str(&line(path));
    out.push('\n');
    let mut commands: Vec<(String, String)> = command.commands.iter().map(row).collect();
    if path.len() == 1 {
        commands.push(("help".to_owned(), "Print the help of a command".to_owned()));
    }
    table(&mut out, "Commands", &commands);
    let argument = |one: &ArgumentSpec| (one.usage(), one.help.to_owned());
    let arguments: Vec<_> = command.arguments.iter().map(argument).collect();
    table(&mut out, "Arguments", &arguments);
    let options = options(path).into_iter();
    let options: Vec<_> = options
        .map(|one| (one.label(), one.help.to_owned()))
        .collect();
    table(&mut out, "Options", &options);
    out.push_str(&format!("\n{}\n", command.examples));
    out
}

/// A command as the help of the one above lists it.
fn row(command: &CommandSpec) -> (String, String) {
    let mut about = command.about.to_owned();
    if !command.aliases.is_empty() {
        about.push_str(&format!(" [alias: {}]", command.aliases.join(", ")));
    }
    (command.name.to_owned(), about)
}

/// Two columns below a head; the second is wrapped.
fn table(out: &mut String, head: &str, rows: &[(String, String)]) {
    if rows.is_empty() {
        return;
    }
    out.push_str(&format!("\n{head}:\n"));
    let widest = rows.iter().map(|(label, _)| label.chars().count()).max();
    let indent = widest.unwrap_or_default() + 4;
    for (label, text) in rows {
        let mut line = format!("  {label:width$}", width = indent - 2);
        let mut has_word = false;
        for word in text.split(' ') {
            if has_word && line.chars().count() + 1 + word.chars().count() > COLUMNS {
                out.push_str(&line);
                out.push('\n');
                line = " ".repeat(indent);
                has_word = false;
            }
            if has_word {
                line.push(' ');
            }
            line.push_str(word);
            has_word = true;
        }
        out.push_str(&line);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_wrapped_below_its_column() {
        let mut out = String::new();
        let text = "one two three ".repeat(8);
        table(
            &mut out,
            "Options",
            &[("--name".to_owned(), text.trim().to_owned())],
        );
        let lines: Vec<&str> = out.trim_start().lines().collect();
        assert_eq!(lines[0], "Options:");
        assert!(lines[1].starts_with("  --name  one two"), "{out}");
        assert!(lines[2].starts_with("          one two"), "{out}");
        assert_eq!(lines.len(), 3, "{out}");
        assert!(lines.iter().all(|line| line.len() <= COLUMNS), "{out}");
        let words = out.split_whitespace().count();
        assert_eq!(words, 2 + 24);
    }
}
