//! The manual page, made from the definition of the command line: all commands on one page.

use super::spec::{CommandSpec, OptionSpec};
use super::usage;

/// The manual page of a program, as `man` reads it.
pub fn page(program: &CommandSpec, version: &str) -> String {
    let name = program.name;
    let mut out = format!(
        ".TH {} 1 \"\" \"{name} {version}\" \"User Commands\"\n",
        name.to_uppercase()
    );
    let about = program.about;
    out.push_str(&format!(".SH NAME\n{name} \\- {}\n", text(&lowered(about))));
    out.push_str(".SH SYNOPSIS\n");
    out.push_str(&synopsis(&[program]));
    out.push_str(".SH OPTIONS\nThey may stand before a command and behind it.\n");
    for option in usage::options(&[program]) {
        entry(&mut out, option);
    }
    out.push_str(".SH COMMANDS\n");
    for path in program.paths().iter().skip(1) {
        command(&mut out, path);
    }
    for part in program.examples.split("\n\n") {
        match part.split_once(":\n") {
            Some((head, rest)) => {
                out.push_str(&format!(".SH \"{}\"\n", text(&head.to_uppercase())));
                as_it_stands(&mut out, rest);
            }
            None => {
                out.push_str(".SH FILES\n");
                as_it_stands(&mut out, part);
            }
        }
    }
    out
}

/// One command: what it does, how it is used, its options and examples.
fn command(out: &mut String, path: &[&CommandSpec]) {
    let Some(command) = path.last() else {
        return;
    };
    let (name, above) = (usage::full_name(&path[1..]), path.len() - 1);
    out.push_str(&format!(
        ".SS \"{}\"\n{}.\n",
        text(&name),
        text(command.about)
    ));
    if !command.aliases.is_empty() {
        let aliases = command.aliases.join(", ");
        out.push_str(&format!("Also called {}.\n", text(&aliases)));
    }
    if !command.details.is_empty() {
        out.push_str(&format!("{}\n", text(command.details)));
    }
    out.push_str(".PP\n");
    out.push_str(&synopsis(path));
    for argument in command.arguments {
        let (usage, help) = (text(&argument.usage()), text(argument.help));
        out.push_str(&format!(".TP\n\\fI{usage}\\fR\n{help}\n"));
    }
    // What all commands understand stands above, once.
    for option in path[above..].iter().flat_map(|one| one.options) {
        entry(out, option);
    }
    out.push_str(".PP\n");
    as_it_stands(out, command.examples);
}

/// How a command is used.
fn synopsis(path: &[&CommandSpec]) -> String {
    let line = usage::line(path);
    let name = usage::full_name(path);
    let rest = line.strip_prefix("Usage: ").unwrap_or(&line);
    let rest = rest.strip_prefix(&name).unwrap_or(rest).trim_start();
    format!("\\fB{}\\fR {}\n", text(&name), text(rest))
}

/// An option with what it does.
fn entry(out: &mut String, option: &OptionSpec) {
    let label = option.label();
    let help = text(option.help);
    out.push_str(&format!(
        ".TP\n\\fB{}\\fR\n{help}\n",
        text(label.trim_start())
    ));
}

/// Lines that are not to be filled.
fn as_it_stands(out: &mut String, lines: &str) {
    out.push_str(&format!(".nf\n{}\n.fi\n", text(lines)));
}

/// A sentence that goes on from a name.
fn lowered(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(char::to_lowercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// A text of which no letter is an instruction.
fn text(plain: &str) -> String {
    let mut out = String::new();
    for (number, line) in plain.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        if line.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        for letter in line.chars() {
            match letter {
                '\\' => out.push_str("\\e"),
                '-' => out.push_str("\\-"),
                '"' => out.push_str("\\(dq"),
                _ => out.push(letter),
            }
        }
    }
    out
}
