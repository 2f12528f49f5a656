//! What kind of thing a file is by its name, for who looks for photographs or documents.

/// Extensions in lower case, by category.
const CATEGORIES: [(&str, &[&str]); 6] = [
    (
        "document",
        &[
            "csv", "doc", "docx", "epub", "gdoc", "gsheet", "gslides", "md", "odp", "ods", "odt",
            "paper", "pdf", "ppt", "pptx", "rtf", "tex", "txt", "xls", "xlsx",
        ],
    ),
    (
        "image",
        &[
            "avif", "bmp", "dng", "gif", "heic", "ico", "jpeg", "jpg", "png", "psd", "raw", "svg",
            "tif", "tiff", "webp",
        ],
    ),
    (
        "video",
        &[
            "3gp", "avi", "flv", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ts", "webm", "wmv",
        ],
    ),
    (
        "audio",
        &[
            "aac", "aif", "aiff", "flac", "m4a", "mid", "mp3", "oga", "ogg", "opus", "wav", "wma",
        ],
    ),
    (
        "archive",
        &[
            "7z", "bz2", "deb", "gz", "img", "iso", "jar", "rar", "tar", "tgz", "xz", "zip", "zst",
        ],
    ),
    (
        "code",
        &[
            "c", "conf", "cfg", "cpp", "css", "go", "h", "html", "items", "java", "js", "json",
            "lua", "php", "pl", "py", "rb", "rs", "rules", "sh", "sql", "things", "toml", "xml",
            "yaml", "yml",
        ],
    ),
];

/// The category of a file: `document`, `image`, `video`, `audio`, `archive`, `code` or `other`.
pub fn category(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty());
    let Some((_, extension)) = extension else {
        return "other";
    };
    let extension = extension.to_ascii_lowercase();
    let mut of = CATEGORIES.iter();
    of.find(|(_, extensions)| extensions.contains(&extension.as_str()))
        .map_or("other", |(category, _)| category)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extension_counts_in_any_case() {
        assert_eq!(category("a.JPG"), "image");
        assert_eq!(category("backup.tar.gz"), "archive");
        assert_eq!(category("openhab.items"), "code");
        assert_eq!(category("report.pdf"), "document");
        for name in ["x", ".pdf", "a.", "a.unheard-of", "jpg"] {
            assert_eq!(category(name), "other", "{name}");
        }
    }
}
