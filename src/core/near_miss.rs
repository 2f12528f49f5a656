//! What a pattern that matches nothing was probably meant to be.

use crate::core::filter::{Filter, ListName, Written};

/// A pattern read in another way.
pub struct NearMiss {
    filter: Filter,
    folds_case: bool,
    /// What to do if it matches something that way.
    advice: String,
}

impl NearMiss {
    /// The ways in which a pattern may be meant, the likeliest first.
    pub fn of(written: &Written<'_>) -> Vec<NearMiss> {
        match written.list {
            ListName::Ignore => of_glob(written.text),
            ListName::Upload | ListName::Download | ListName::Exclude => of_regex(written),
        }
    }

    /// Whether a path is matched in this way, or a folder it lies in.
    pub fn matches(&self, path: &str, is_folder: bool) -> bool {
        let folded;
        let path = match self.folds_case {
            true => {
                folded = path.to_lowercase();
                &folded
            }
            false => path,
        };
        match is_folder {
            true => self.filter.prunes_folder(path),
            false => self.filter.prunes(path),
        }
    }

    /// What to do about the pattern.
    pub fn advice(&self) -> &str {
        &self.advice
    }
}

fn regex(text: &str, advice: String) -> Option<NearMiss> {
    let all = ["/.*".to_owned()];
    let filter = Filter::new(&all, &all, &[text.to_owned()], true).ok()?;
    Some(NearMiss {
        filter,
        folds_case: false,
        advice,
    })
}

fn glob(text: &str, folds_case: bool, advice: String) -> Option<NearMiss> {
    let mut filter = Filter::everything();
    filter.ignore(text, None).ok()?;
    Some(NearMiss {
        filter,
        folds_case,
        advice,
    })
}

fn of_regex(written: &Written<'_>) -> Vec<NearMiss> {
    let text = written.text;
    let below = format!("{}/.*", text.trim_end_matches('/'));
    let is_filter = written.list != ListName::Exclude;
    let below =
        is_filter.then(|| regex(&below, format!("for what is in a folder write '{below}'")));
    let bare = text.trim_start_matches('/');
    let anywhere = format!(".*/{bare}");
    let glob_advice = match written.list {
        ListName::Exclude => {
            format!("as a glob it belongs into sync.ignore: ignore = [\"{text}\"]")
        }
        _ => "it is a regular expression: '.*' is any text, '[^/]*' any text without a slash"
            .to_owned(),
    };
    let all = [
        below.flatten(),
        regex(
            &format!("(?i){text}"),
            "upper and lower case count".to_owned(),
        ),
        glob(text, false, glob_advice),
        regex(
            &anywhere,
            format!("it is bound to the top folder; write '{anywhere}' for any folder"),
        ),
    ];
    all.into_iter().flatten().collect()
}

fn of_glob(text: &str) -> Vec<NearMiss> {
    let bare = text.trim_start_matches('!');
    let anywhere = format!("**/{}", bare.trim_start_matches('/'));
    let file = bare.trim_end_matches('/');
    let all = [
        glob(
            &bare.to_lowercase(),
            true,
            "upper and lower case count".to_owned(),
        ),
        glob(
            file,
            false,
            format!("a glob that ends with '/' is for folders; write \"{file}\" for files too"),
        ),
        glob(
            &anywhere,
            false,
            format!("a '/' in it binds it to the top; write \"{anywhere}\" for any folder"),
        ),
        regex(
            bare,
            format!(
                "it is no glob; as a regular expression it belongs into sync.exclude: '{bare}'"
            ),
        ),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_reading_is_told() {
        let advice = |list, text: &str, path: &str| {
            let written = Written {
                list,
                at: 0,
                text,
                ignore_file_line: None,
            };
            let near = NearMiss::of(&written);
            let hit = near.into_iter().find(|near| near.matches(path, false));
            hit.map(|near| near.advice().to_owned())
        };
        for (list, text, path, expected) in [
            (ListName::Upload, "/Items/.*", "/items/a", "case count"),
            (ListName::Upload, "/items", "/items/a", "'/items/.*'"),
            (
                ListName::Exclude,
                "/logs/*.log",
                "/logs/a.log",
                "sync.ignore",
            ),
            (ListName::Exclude, "/cache", "/a/cache", "'.*/cache'"),
            (ListName::Ignore, "*.TMP", "/a.tmp", "case count"),
            (ListName::Ignore, "cache/", "/cache", "for folders"),
            (ListName::Ignore, "/cache", "/a/cache", "\"**/cache\""),
            (ListName::Ignore, "/logs/.*", "/logs/a", "sync.exclude"),
        ] {
            let advice = advice(list, text, path);
            let told = advice.as_deref().unwrap_or("nothing");
            assert!(told.contains(expected), "{text}: {told}");
        }
        assert_eq!(advice(ListName::Ignore, "*.tmp", "/a.txt"), None);
    }
}
