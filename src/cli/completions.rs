//! What completes commands in a shell: a script for each, made from the definition of the command
//! line. All follow the words typed so far from command to command, and step over the values of
//! options.

use super::spec::{ArgumentCount, ArgumentSpec, CommandSpec, OptionSpec, ValueKind};
use super::usage;

/// A shell that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash, 4 or newer.
    Bash,
    /// zsh.
    Zsh,
    /// fish, 3 or newer.
    Fish,
}

impl Shell {
    /// Their names.
    pub const NAMES: [&'static str; 3] = ["bash", "zsh", "fish"];

    /// The shell of a name, which is one of [`Shell::NAMES`].
    pub fn named(name: &str) -> Shell {
        match name {
            "zsh" => Shell::Zsh,
            "fish" => Shell::Fish,
            _ => Shell::Bash,
        }
    }

    /// What completes the commands of a program in this shell.
    pub fn script(self, program: &CommandSpec) -> String {
        match self {
            Shell::Bash => bash(program),
            Shell::Zsh => zsh(program),
            Shell::Fish => fish(program),
        }
    }
}

/// The commands of a path as the scripts note it: a blank before each.
fn place(path: &[&CommandSpec]) -> String {
    let names = path.iter().skip(1);
    names.map(|command| format!(" {}", command.name)).collect()
}

/// All names by which a path is typed behind the place above it.
fn patterns(path: &[&CommandSpec]) -> Vec<String> {
    let Some((command, above)) = path.split_last() else {
        return Vec::new();
    };
    let above = place(above);
    let names = command.names();
    names.map(|name| format!("'{above} {name}'")).collect()
}

/// All options of a program that take a value, each once.
fn valued(program: &CommandSpec) -> Vec<&OptionSpec> {
    let mut found: Vec<&OptionSpec> = Vec::new();
    for option in program.paths().iter().flat_map(|path| usage::options(path)) {
        let is_new = found.iter().all(|other| other.long != option.long);
        if option.value.is_some() && is_new {
            found.push(option);
        }
    }
    found
}

/// Patterns of options behind any command.
fn option_patterns<'a>(options: impl Iterator<Item = &'a OptionSpec>) -> Vec<String> {
    let mut patterns = Vec::new();
    for option in options {
        patterns.push(format!("*' --{}'", option.long));
        if let Some(short) = option.short {
            patterns.push(format!("*' -{short}'"));
        }
    }
    patterns
}

/// The words that may stand behind a path as they are: commands, or what an argument may be.
fn words(path: &[&CommandSpec]) -> Vec<&'static str> {
    let Some(command) = path.last() else {
        return Vec::new();
    };
    let mut words: Vec<&'static str> = command.commands.iter().map(|one| one.name).collect();
    if path.len() == 1 {
        words.push("help");
    }
    for argument in command.arguments {
        if let ValueKind::OneOf(known) = argument.value.kind {
            words.extend(known);
        }
    }
    words
}

fn takes_file(argument: &ArgumentSpec) -> bool {
    matches!(argument.value.kind, ValueKind::File)
}

/// What bash offers behind a path.
fn bash_offer(path: &[&CommandSpec]) -> String {
    let options = usage::options(path).into_iter().map(|option| {
        let short = option.short.map(|short| format!("-{short} "));
        format!("{}--{}", short.unwrap_or_default(), option.long)
    });
    let options: Vec<String> = options.collect();
    let has_files = path
        .last()
        .is_some_and(|one| one.arguments.iter().any(takes_file));
    let files = match has_files {
        true => " && compopt -o default",
        false => "",
    };
    format!(
        "        '{}') words='{}' options='{}'{files} ;;\n",
        place(path),
        words(path).join(" "),
        options.join(" "),
    )
}

fn bash(program: &CommandSpec) -> String {
    let paths = program.paths();
    let name = program.name;
    let mut steps = String::new();
    for path in paths.iter().skip(1) {
        let patterns = patterns(path).join(" | ");
        steps.push_str(&format!("        {patterns}) at='{}' ;;\n", place(path)));
    }
    let valued = valued(program);
    let skipped = option_patterns(valued.iter().copied()).join(" | ");
    let mut values = String::new();
    for option in valued {
        let then = match option.value.map(|value| value.kind) {
            Some(ValueKind::File) => "compopt -o default && return".to_owned(),
            Some(ValueKind::OneOf(known)) => format!("words='{}' options=$words", known.join(" ")),
            Some(ValueKind::Text) | None => "return".to_owned(),
        };
        let pattern = option_patterns([option].into_iter()).join(" | ");
        values.push_str(&format!("    {pattern}) {then} ;;\n"));
    }
    let offers: String = paths.iter().map(|path| bash_offer(path)).collect();
    format!(
        r#"# Completes commands of {name} in bash.
_{name}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
    local at='' words='' options='' i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at ${{COMP_WORDS[i]}}" in
{steps}        {skipped})
            ((i++))
            if [[ ${{COMP_WORDS[i]}} == '=' ]]; then ((i++)); fi
            ;;
        esac
    done
    if [[ $current == '=' ]]; then current=''; fi
    if [[ $before == '=' ]]; then before=${{COMP_WORDS[COMP_CWORD - 2]}}; fi
    COMPREPLY=()
    case " $before" in
{values}    *)
        case $at in
{offers}        esac
        ;;
    esac
    if [[ $current == -* ]]; then words=$options; fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -F _{name} {name}
"#
    )
}

/// A text within single quotes, where zsh reads brackets and colons.
fn zsh_text(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '\'' => out.push_str("'\\''"),
            '[' | ']' | ':' | '\\' => out.extend(['\\', letter]),
            _ => out.push(letter),
        }
    }
    out
}

/// How zsh completes a value.
fn zsh_action(kind: ValueKind) -> String {
    match kind {
        ValueKind::Text => String::new(),
        ValueKind::File => "_files".to_owned(),
        ValueKind::OneOf(known) => format!("({})", known.join(" ")),
    }
}

fn zsh_option(option: &OptionSpec) -> String {
    let help = zsh_text(option.help);
    let (equals, value) = match option.value {
        Some(value) => ("=", format!(":{}:{}", value.name, zsh_action(value.kind))),
        None => ("", String::new()),
    };
    let mut excluded: Vec<String> = Vec::new();
    if !option.is_repeatable {
        excluded.extend(option.short.map(|short| format!("-{short}")));
        excluded.push(format!("--{}", option.long));
    }
    excluded.extend(option.conflicts.iter().map(|other| format!("--{other}")));
    let before = match option.is_repeatable {
        true => "*".to_owned(),
        false => format!("({})", excluded.join(" ")),
    };
    match option.short {
        Some(short) => format!(
            "'{before}'{{-{short},--{}{equals}}}'[{help}]{value}'",
            option.long
        ),
        None => format!("'{before}--{}{equals}[{help}]{value}'", option.long),
    }
}

fn zsh(program: &CommandSpec) -> String {
    let name = program.name;
    let mut out = format!("#compdef {name}\n# Completes commands of {name} in zsh.\n");
    for path in program.paths() {
        let Some(command) = path.last() else {
            continue;
        };
        let function = |path: &[&CommandSpec]| place(path).replace(' ', "_");
        out.push_str(&format!("\n_{name}{}() {{\n", function(&path)));
        if !command.commands.is_empty() {
            out.push_str("    local state line ret=1\n    typeset -A opt_args\n");
        }
        out.push_str("    _arguments -s -S");
        for option in usage::options(&path) {
            out.push_str(&format!(" \\\n        {}", zsh_option(option)));
        }
        for argument in command.arguments {
            let count = match argument.count {
                ArgumentCount::One => ":",
                ArgumentCount::AtMostOne => "::",
                ArgumentCount::Any => "*:",
            };
            let (value, action) = (argument.value, zsh_action(argument.value.kind));
            out.push_str(&format!(" \\\n        '{count}{}:{action}'", value.name));
        }
        if command.commands.is_empty() {
            out.push_str("\n}\n");
            continue;
        }
        out.push_str(" \\\n        '1: :->command' '*:: :->rest' && ret=0\n");
        out.push_str("    case $state in\n    command)\n        local -a commands=(\n");
        for below in command.commands {
            let about = zsh_text(below.about);
            out.push_str(&format!("            '{}:{about}'\n", below.name));
        }
        if path.len() == 1 {
            out.push_str("            'help:Print the help of a command'\n");
        }
        out.push_str("        )\n        _describe -t commands command commands && ret=0\n");
        out.push_str("        ;;\n    rest)\n        case $words[1] in\n");
        for below in command.commands {
            let names: Vec<&str> = below.names().collect();
            let whole = [&path[..], &[below]].concat();
            let (names, function) = (names.join(" | "), function(&whole));
            out.push_str(&format!("        {names}) _{name}{function} && ret=0 ;;\n"));
        }
        out.push_str("        esac\n        ;;\n    esac\n    return ret\n}\n");
    }
    out.push_str(&format!("\n_{name} \"$@\"\n"));
    out
}

/// A text within single quotes of fish.
fn fish_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn fish(program: &CommandSpec) -> String {
    let name = program.name;
    let paths = program.paths();
    let mut steps = String::new();
    for path in paths.iter().skip(1) {
        let patterns = patterns(path).join(" ");
        steps.push_str(&format!(
            "            case {patterns}\n                set at '{}'\n",
            place(path)
        ));
    }
    let skipped = option_patterns(valued(program).into_iter()).join(" ");
    let mut out = format!(
        r#"# Completes commands of {name} in fish.
function __{name}_at
    set -l words (commandline -opc)
    set -l at ''
    set -l is_value 0
    for word in $words[2..-1]
        if test $is_value = 1
            set is_value 0
            continue
        end
        switch "$at $word"
{steps}            case {skipped}
                set is_value 1
        end
    end
    test "$at" = "$argv[1]"
end

complete -c {name} -f
"#
    );
    for path in &paths {
        let Some(command) = path.last() else {
            continue;
        };
        let at = format!("complete -c {name} -n \"__{name}_at '{}'\"", place(path));
        for below in command.commands {
            let about = fish_text(below.about);
            out.push_str(&format!("{at} -a {} -d '{about}'\n", below.name));
        }
        if path.len() == 1 {
            out.push_str(&format!("{at} -a help -d 'Print the help of a command'\n"));
        }
        for argument in command.arguments {
            match argument.value.kind {
                ValueKind::Text => {}
                ValueKind::File => out.push_str(&format!("{at} -F\n")),
                ValueKind::OneOf(known) => {
                    out.push_str(&format!("{at} -a '{}'\n", known.join(" ")));
                }
            }
        }
        for option in usage::options(path) {
            out.push_str(&format!("{at}{}\n", fish_option(option)));
        }
    }
    out
}

fn fish_option(option: &OptionSpec) -> String {
    let short = option
        .short
        .map_or_else(String::new, |short| format!(" -s {short}"));
    let value = match option.value.map(|value| value.kind) {
        None => String::new(),
        Some(ValueKind::Text) => " -x".to_owned(),
        Some(ValueKind::File) => " -r -F".to_owned(),
        Some(ValueKind::OneOf(known)) => format!(" -x -a '{}'", known.join(" ")),
    };
    let help = fish_text(option.help);
    format!("{short} -l {}{value} -d '{help}'", option.long)
}
