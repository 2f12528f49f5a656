//! What a command line may be made of: commands, options, arguments, and what is said about each.
//! Parsing, help, completions and the manual page are made from it; it does nothing itself.

/// A command: the program, one of its commands, or a command of one of these.
#[derive(Debug)]
pub struct CommandSpec {
    /// As it is typed.
    pub name: &'static str,
    /// Other names that the help tells.
    pub aliases: &'static [&'static str],
    /// Other names that are understood, and not told.
    pub hidden_aliases: &'static [&'static str],
    /// What it does, in one line.
    pub about: &'static str,
    /// What there is to say beyond that, in lines of their own; often nothing.
    pub details: &'static str,
    /// Options of this command; those of the program are understood everywhere.
    pub options: &'static [OptionSpec],
    /// Arguments in their order.
    pub arguments: &'static [ArgumentSpec],
    /// Commands of this one. Where there are any, one must be named.
    pub commands: &'static [CommandSpec],
    /// Examples, and what it ends with.
    pub examples: &'static str,
}

/// An option, which may stand anywhere behind its command.
#[derive(Debug)]
pub struct OptionSpec {
    /// Its long name, without hyphens.
    pub long: &'static str,
    /// Its short name.
    pub short: Option<char>,
    /// What it takes; a flag takes nothing.
    pub value: Option<ValueSpec>,
    /// Whether it may be given more than once.
    pub is_repeatable: bool,
    /// Long names of options it excludes. One of two names the other.
    pub conflicts: &'static [&'static str],
    /// What it does, in one line.
    pub help: &'static str,
}

/// An argument: what is told apart by where it stands.
#[derive(Debug)]
pub struct ArgumentSpec {
    /// What it takes.
    pub value: ValueSpec,
    /// How many there are.
    pub count: ArgumentCount,
    /// Whether it may begin with a hyphen.
    pub may_begin_with_hyphen: bool,
    /// What it is, in one line.
    pub help: &'static str,
}

/// How many arguments of a kind there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentCount {
    /// Exactly one.
    One,
    /// One or none.
    AtMostOne,
    /// Any number; stands last.
    Any,
}

/// What an option or an argument takes.
#[derive(Clone, Copy, Debug)]
pub struct ValueSpec {
    /// How it is called where its use is shown, in capitals.
    pub name: &'static str,
    /// What it may be.
    pub kind: ValueKind,
}

/// What a value may be; completions know by it what to offer.
#[derive(Clone, Copy, Debug)]
pub enum ValueKind {
    /// A text of its own kind.
    Text,
    /// A file or directory of this machine.
    File,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl CommandSpec {
    /// A command with nothing but its name and what is said about it.
    pub const fn new(name: &'static str, about: &'static str, examples: &'static str) -> Self {
        CommandSpec {
            name,
            aliases: &[],
            hidden_aliases: &[],
            about,
            details: "",
            options: &[],
            arguments: &[],
            commands: &[],
            examples,
        }
    }

    /// All its names, its own first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let others = self.aliases.iter().chain(self.hidden_aliases);
        std::iter::once(self.name).chain(others.copied())
    }

    /// The command of this one that has a name.
    pub fn command(&self, name: &str) -> Option<&'static CommandSpec> {
        let mut commands = self.commands.iter();
        commands.find(|command| command.names().any(|own| own == name))
    }

    /// Itself and all commands below it, each behind those it belongs to.
    pub fn paths(&self) -> Vec<Vec<&CommandSpec>> {
        let mut paths = vec![vec![self]];
        for path in self.commands.iter().flat_map(CommandSpec::paths) {
            paths.push([&[self], &path[..]].concat());
        }
        paths
    }

    /// The argument that stands at a position.
    pub fn argument(&self, position: usize) -> Option<&'static ArgumentSpec> {
        let last = self.arguments.last();
        let repeated = last.filter(|argument| argument.count == ArgumentCount::Any);
        self.arguments.get(position).or(repeated)
    }
}

impl OptionSpec {
    /// An option that is given or not.
    pub const fn flag(long: &'static str, help: &'static str) -> Self {
        OptionSpec {
            long,
            short: None,
            value: None,
            is_repeatable: false,
            conflicts: &[],
            help,
        }
    }

    /// An option with a value.
    pub const fn valued(long: &'static str, value: ValueSpec, help: &'static str) -> Self {
        let mut option = OptionSpec::flag(long, help);
        option.value = Some(value);
        option
    }

    /// The same with a short name.
    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// The same, any number of times.
    pub const fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// The same, but not together with these.
    pub const fn conflicting(mut self, with: &'static [&'static str]) -> Self {
        self.conflicts = with;
        self
    }

    /// The option and what it takes, as its use is shown.
    pub fn usage(&self) -> String {
        match self.value {
            Some(value) => format!("--{} <{}>", self.long, value.name),
            None => format!("--{}", self.long),
        }
    }

    /// The option as the left column of a help shows it.
    pub fn label(&self) -> String {
        let short = match self.short {
            Some(short) => format!("-{short}, "),
            None => "    ".to_owned(),
        };
        let more = match self.value {
            None if self.is_repeatable => "...",
            _ => "",
        };
        format!("{short}{}{more}", self.usage())
    }
}

impl ArgumentSpec {
    /// An argument of which there are so many.
    pub const fn new(value: ValueSpec, count: ArgumentCount, help: &'static str) -> Self {
        ArgumentSpec {
            value,
            count,
            may_begin_with_hyphen: false,
            help,
        }
    }

    /// The same, also where it begins with a hyphen.
    pub const fn with_hyphen(mut self) -> Self {
        self.may_begin_with_hyphen = true;
        self
    }

    /// The argument as its use is shown.
    pub fn usage(&self) -> String {
        let name = self.value.name;
        match self.count {
            ArgumentCount::One => format!("<{name}>"),
            ArgumentCount::AtMostOne => format!("[{name}]"),
            ArgumentCount::Any => format!("[{name}]..."),
        }
    }
}

impl ValueSpec {
    /// A text.
    pub const fn text(name: &'static str) -> Self {
        ValueSpec {
            name,
            kind: ValueKind::Text,
        }
    }

    /// A file.
    pub const fn file(name: &'static str) -> Self {
        ValueSpec {
            name,
            kind: ValueKind::File,
        }
    }

    /// One of some words.
    pub const fn one_of(name: &'static str, words: &'static [&'static str]) -> Self {
        ValueSpec {
            name,
            kind: ValueKind::OneOf(words),
        }
    }
}
