//! What names things in Dropbox: opaque texts, each of a type of its own, so that a local path, a
//! key or a revision cannot be sent where another is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where paths begin, for a member of a team: in the folder of their own, or in the space that the
/// team shares, which holds that folder and the team's. They are one for everybody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathRoot {
    /// The member's own folder; what Dropbox takes where nothing is said.
    #[default]
    Home,
    /// The space of the team.
    Team,
}

/// The namespaces of an account; empty where they were not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// That of the account's root: of the team's space, for a member of a team that has one.
    pub root_namespace_id: String,
    /// That of the account's own folder.
    #[serde(default)]
    pub home_namespace_id: String,
}

impl Namespaces {
    /// Whether they are known.
    pub fn are_known(&self) -> bool {
        !self.root_namespace_id.is_empty() && !self.home_namespace_id.is_empty()
    }

    /// The namespace of the team's space, if there is one beside the member's own folder.
    pub fn team(&self) -> Option<&str> {
        let has_team = self.are_known() && self.root_namespace_id != self.home_namespace_id;
        has_team.then_some(&self.root_namespace_id)
    }
}

macro_rules! opaque {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text as Dropbox has it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> $name {
                $name(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

opaque! {
    /// A path as requests name it (`files.stone`, `WritePathOrId`): from the top of all the app may
    /// see, `/` before each component, empty for that top itself.
    RemotePath
}

opaque! {
    /// `rev` of `FileMetadata`: names one version of one file, 9 and more hexadecimal digits. An
    /// empty one is not known yet: a folder above the file was moved, which gives it another one.
    Rev
}

impl Rev {
    /// Whether it is known.
    pub fn is_known(&self) -> bool {
        !self.0.is_empty()
    }
}

opaque! {
    /// How far the changes of Dropbox have been read (`files/list_folder/continue`).
    Cursor
}
