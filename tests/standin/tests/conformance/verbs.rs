//! The calls all tests share, and an account with a token to make them.

use dropbox_standin::{Endpoint, Request, Response, Standin};
use serde_json::{Value, json};

/// An account with a token.
pub struct Client {
    pub standin: Standin,
    pub token: String,
}

/// A fresh account.
pub fn client() -> Client {
    let standin = Standin::new();
    let token = standin.personal_access_token();
    Client { standin, token }
}

/// What came back: the status, and JSON or text.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub json: Value,
    pub text: String,
}

pub fn told(response: &Response) -> Told {
    let text = String::from_utf8_lossy(&response.body).into_owned();
    let json = serde_json::from_str(&text).unwrap_or_default();
    Told {
        status: response.status,
        json,
        text,
    }
}

impl Told {
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json
    }

    /// The error union of a 409.
    pub fn error(self) -> Value {
        assert_eq!(self.status, 409, "{}", self.text);
        assert!(self.json["error_summary"].as_str().unwrap().ends_with('.'));
        self.json["error"].clone()
    }

    /// The error of a 409 as its summary without the dots.
    pub fn summary(self) -> String {
        assert_eq!(self.status, 409, "{}", self.text);
        let summary = self.json["error_summary"].as_str().unwrap();
        summary
            .trim_end_matches('.')
            .trim_end_matches('/')
            .to_owned()
    }

    /// The text of a 400.
    pub fn refused(self) -> String {
        assert_eq!(self.status, 400, "{}", self.text);
        assert!(self.json.is_null(), "{}", self.text);
        self.text
    }
}

pub fn header(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

pub fn request(endpoint: Endpoint, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    Request {
        endpoint,
        method: "POST".into(),
        target: target.into(),
        headers: headers
            .iter()
            .map(|(name, value)| header(name, value))
            .collect(),
        body: body.to_vec(),
    }
}

/// JSON as it may stand in a header.
fn ascii(arg: &Value) -> String {
    let escape = |character: char| {
        let mut units = [0; 2];
        let units = character.encode_utf16(&mut units);
        units
            .iter()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect::<String>()
    };
    let plain = |character: char| matches!(character, ' '..='~');
    let text = arg.to_string();
    text.chars()
        .map(|it| {
            if plain(it) {
                it.to_string()
            } else {
                escape(it)
            }
        })
        .collect()
}

impl Client {
    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub fn rpc_request(&self, route: &str, arg: &Value) -> Request {
        let headers = [
            ("Authorization", &*self.bearer()),
            ("Content-Type", "application/json"),
        ];
        let body = arg.to_string();
        request(
            Endpoint::Api,
            &format!("/2/{route}"),
            &headers,
            body.as_bytes(),
        )
    }

    /// Calls an rpc route.
    pub fn rpc(&self, route: &str, arg: Value) -> Told {
        told(&self.standin.handle(self.rpc_request(route, &arg)))
    }

    pub fn up_request(&self, route: &str, arg: &Value, body: &[u8]) -> Request {
        let headers = [
            ("Authorization", &*self.bearer()),
            ("Content-Type", "application/octet-stream"),
            ("Dropbox-API-Arg", &*ascii(arg)),
        ];
        request(Endpoint::Content, &format!("/2/{route}"), &headers, body)
    }

    /// Calls an upload route.
    pub fn up(&self, route: &str, arg: Value, body: &[u8]) -> Told {
        told(&self.standin.handle(self.up_request(route, &arg, body)))
    }

    /// Uploads with `files/upload`; `more` holds fields besides the path.
    pub fn upload(&self, path: &str, body: &[u8], more: Value) -> Told {
        let mut arg = more;
        arg["path"] = json!(path);
        self.up("files/upload", arg, body)
    }

    pub fn down_request(&self, arg: &Value, headers: &[(&str, &str)]) -> Request {
        let (bearer, arg) = (self.bearer(), ascii(arg));
        let mut all = vec![("Authorization", &*bearer), ("Dropbox-API-Arg", &*arg)];
        all.extend_from_slice(headers);
        request(Endpoint::Content, "/2/files/download", &all, b"")
    }

    /// Downloads a path.
    pub fn download(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.standin
            .handle(self.down_request(&json!({ "path": path }), headers))
    }

    /// The whole first listing, page after page; the entries and the last cursor.
    pub fn list(&self, arg: Value) -> (Vec<Value>, String) {
        let first = self.rpc("files/list_folder", arg).ok();
        self.rest_of(first)
    }

    /// What changed since a cursor.
    pub fn changes(&self, cursor: &str) -> (Vec<Value>, String) {
        let page = self
            .rpc("files/list_folder/continue", json!({ "cursor": cursor }))
            .ok();
        self.rest_of(page)
    }

    fn rest_of(&self, mut page: Value) -> (Vec<Value>, String) {
        let mut entries = Vec::new();
        loop {
            entries.extend(page["entries"].as_array().unwrap().clone());
            let cursor = page["cursor"].as_str().unwrap().to_owned();
            if page["has_more"] == json!(false) {
                return (entries, cursor);
            }
            page = self
                .rpc("files/list_folder/continue", json!({ "cursor": cursor }))
                .ok();
        }
    }

    /// Calls longpoll, without authorization.
    pub fn longpoll(&self, arg: &Value) -> Told {
        let headers = [("Content-Type", "application/json")];
        let body = arg.to_string();
        let target = "/2/files/list_folder/longpoll";
        told(
            &self
                .standin
                .handle(request(Endpoint::Notify, target, &headers, body.as_bytes())),
        )
    }
}

/// Entries as `tag path_display`.
pub fn lines(entries: &[Value]) -> Vec<String> {
    let line = |entry: &Value| {
        let (tag, path) = (
            entry[".tag"].as_str().unwrap(),
            entry["path_display"].as_str().unwrap(),
        );
        format!("{tag} {path}")
    };
    entries.iter().map(line).collect()
}
