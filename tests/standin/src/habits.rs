//! What the service does now and then, or did once, or may do: ways that are known from a few
//! answers or from people's reports. A client has to come through, whichever it is.

use serde_json::Value;

use crate::http::Response;
use crate::zip::{ZipLimits, ZipStyle};

/// How the result of a download stands in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultHeader {
    /// As JSON in ASCII.
    Ascii,
    /// As JSON with letters beyond ASCII as they are, in UTF-8.
    Utf8,
    /// As JSON of another size than the file has.
    OtherSize,
    /// Not at all: something on the way has taken it out.
    Missing,
}

/// The ways that can be switched, for [`Standin::change_habits`](crate::Standin::change_habits).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are independent switches"
)]
pub struct Habits {
    /// Pages of listings have at most this many entries, whatever the call allows.
    pub page_limit: Option<usize>,
    /// Whether a recursive listing of a folder starts with an entry for the folder itself.
    pub listing_names_its_root: bool,
    /// Whether `path_display` has all parents in lower case: only the case of its last component
    /// is promised.
    pub shows_parents_folded: bool,
    /// How archives are written.
    pub zip_style: ZipStyle,
    /// From which size on a folder is refused as an archive.
    pub zip_limits: ZipLimits,
    /// Whether an append of no bytes must name the right offset, as any other.
    pub checks_empty_appends: bool,
    /// Whether the reason phrase of an error is its summary, as it was until 2019.
    pub summary_as_reason: bool,
    /// Whether names with characters beyond the Basic Multilingual Plane are `malformed_path`.
    pub refuses_beyond_bmp: bool,
    /// How many listings and looks at metadata after a write still tell what was before it.
    pub lag: u32,
    /// How many pages without entries come before one that has some.
    pub empty_pages: u32,
    /// How the result of a download travels.
    pub result_header: ResultHeader,
    /// What stands as `user_message` in every 409.
    pub user_message: Option<Value>,
    /// Whether the first thing that is put into a folder just made is `no_write_permission`.
    pub refuses_in_new_folders: bool,
    /// Whether the app's own folder is gone: its root, and all below it, is `path/not_found`.
    pub app_folder_is_gone: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            page_limit: None,
            listing_names_its_root: true,
            shows_parents_folded: false,
            zip_style: ZipStyle::default(),
            zip_limits: ZipLimits::default(),
            checks_empty_appends: true,
            summary_as_reason: false,
            refuses_beyond_bmp: false,
            lag: 0,
            empty_pages: 0,
            result_header: ResultHeader::Ascii,
            user_message: None,
            refuses_in_new_folders: false,
            app_folder_is_gone: false,
        }
    }
}

impl Habits {
    /// Makes an answer what it is by these habits.
    pub(crate) fn shape(&self, response: &mut Response) {
        let told: Option<Value> = (response.status == 409)
            .then(|| serde_json::from_slice(&response.body).ok())
            .flatten();
        if let (Some(mut told), Some(message)) = (told, &self.user_message) {
            told["user_message"] = message.clone();
            response.body = told.to_string().into_bytes().into();
        }
        if self.summary_as_reason && matches!(response.status, 409 | 429) {
            let told: Option<Value> = serde_json::from_slice(&response.body).ok();
            let summary = told.and_then(|told| told["error_summary"].as_str().map(str::to_owned));
            response.reason = summary;
        }
        let is_result = |name: &String| name.eq_ignore_ascii_case("dropbox-api-result");
        if self.result_header == ResultHeader::OtherSize {
            for (_, json) in response
                .headers
                .iter_mut()
                .filter(|(name, _)| is_result(name))
            {
                let told: Result<Value, _> = serde_json::from_str(json);
                if let Ok(mut told) = told {
                    told["size"] = 4711.into();
                    *json = told.to_string();
                }
            }
        }
        if self.result_header == ResultHeader::Missing {
            response.headers.retain(|(name, _)| !is_result(name));
        }
    }
}
