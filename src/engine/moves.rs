//! Renames: what has only got another name on one side gets it on the other, as one act.
//!
//! A rename is seen as two things, a file that is gone and a new one of the same content. They are
//! paired before either is carried out (`pairs` and `gone`), and where they are not, the delete
//! waits until the content has arrived (`halves`).

mod folder_look;
mod folders;
mod folders_here;
pub(crate) mod folders_there;
pub(crate) mod gone;
pub(crate) mod halves;
mod here;
pub(crate) mod moved_alike;
pub(crate) mod pairs;
pub(crate) mod renamed_folders;
mod renames;
mod there;
mod waits;

pub(crate) use renames::Renames;
