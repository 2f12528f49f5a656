//! What names things in Dropbox: opaque texts, each of a type of its own, so that a local path, a
//! key or a revision cannot be sent where another is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// `rev` of `FileMetadata`: names one version of one file, 9 and more hexadecimal digits.
    Rev
}

opaque! {
    /// How far the changes of Dropbox have been read (`files/list_folder/continue`).
    Cursor
}
