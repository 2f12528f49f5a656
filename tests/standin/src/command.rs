//! The stand-in as a program: options, and commands on its standard input.
//!
//! A client that knows no other addresses than Dropbox's is led here with `--tls --ca FILE`,
//! `HTTPS_PROXY=` the proxy that is printed and `SSL_CERT_FILE=FILE`.

use std::fmt::Write as _;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::control::Control;
use crate::http::Endpoint;
use crate::standin::Standin;

const USAGE: &str = "\
usage: dropbox-standin [OPTION]...
  --port N                  the first of four ports in a row; TLS and proxy follow
  --tls                     serve TLS too, and a CONNECT proxy that leads to it
  --ca FILE                 write the CA of the TLS listener there
  --latency MS              every request takes so much longer
  --connection-latency MS   every new connection takes so much longer
  --quota BYTES             the space of the account (default 2 GiB)
  --page-limit N            at most N entries to a page of a listing
  --forget                  keep only sizes and hashes of what is uploaded
  --fill FOLDER:N:BYTES:K   put N files of BYTES, K to a folder, contents from a seed
  --seed-demo               put something to look at
  --control                 take commands from standard input, and end with it (try: help)
  -v                        print every request";

#[derive(Default)]
struct Options {
    port: u16,
    tls: bool,
    ca: Option<PathBuf>,
    latency: u64,
    connection_latency: u64,
    quota: Option<u64>,
    page_limit: Option<usize>,
    forget: bool,
    fills: Vec<String>,
    demo: bool,
    control: bool,
    verbose: bool,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next();
            match word.as_str() {
                "--port" => options.port = value()?.parse().ok()?,
                "--tls" => options.tls = true,
                "--ca" => options.ca = Some(value()?.into()),
                "--latency" => options.latency = value()?.parse().ok()?,
                "--connection-latency" => options.connection_latency = value()?.parse().ok()?,
                "--quota" => options.quota = Some(value()?.parse().ok()?),
                "--page-limit" => options.page_limit = Some(value()?.parse().ok()?),
                "--forget" => options.forget = true,
                "--fill" => options.fills.push(value()?),
                "--seed-demo" => options.demo = true,
                "--control" => options.control = true,
                "-v" => options.verbose = true,
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Runs the stand-in as a program with these arguments (without its name), until it is ended.
pub fn serve(words: impl Iterator<Item = String>) -> ExitCode {
    let Some(options) = Options::read(words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dropbox-standin: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let standin = Standin::new();
    standin.run_clock();
    standin.set_keep_contents(!options.forget);
    if let Some(bytes) = options.quota {
        standin.set_quota(bytes);
    }
    if let Some(entries) = options.page_limit {
        standin.set_page_limit(entries);
    }
    if options.demo {
        seed(&standin);
    }
    let mut listeners = standin.listen_on(options.port)?;
    if options.tls || options.ca.is_some() {
        let port = (options.port != 0).then_some(options.port.saturating_add(4));
        listeners.open_tls(port)?;
    }
    if let (Some(file), Some(pem)) = (&options.ca, listeners.ca_pem()) {
        std::fs::write(file, pem)?;
    }
    listeners.set_latency(
        Duration::from_millis(options.latency),
        Duration::from_millis(options.connection_latency),
    );
    let control = Control::new(standin.clone(), listeners);
    for fill in &options.fills {
        let answer = control.obey(&format!("fill {}", fill.replace(':', " ")));
        answer.map_err(io::Error::other)?;
    }
    say(&greeting(&standin, &control))?;
    if options.verbose {
        standin.on_request(Box::new(|request| {
            let bytes = request.body.len();
            let (method, endpoint) = (&request.method, request.endpoint.name());
            println!("{method} {endpoint} {} {bytes} bytes", request.path());
        }));
    }
    if !options.control {
        loop {
            std::thread::park();
        }
    }
    for line in io::stdin().lock().lines() {
        let answer = control.obey(&line?);
        say(&answer.unwrap_or_else(|error| format!("error: {error}")))?;
    }
    Ok(())
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// The addresses as they stand in a configuration of the agent, and how to get in.
fn greeting(standin: &Standin, control: &Control) -> String {
    let mut text = String::new();
    for endpoint in Endpoint::ALL {
        let url = control.listeners.url(endpoint);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} = \"{url}\"", endpoint.name());
    }
    if let Some(url) = control.listeners.proxy_url() {
        let _ = writeln!(text, "proxy = \"{url}\"");
    }
    text.push_str("# app key standin-key, app secret standin-secret\n");
    let token = standin.personal_access_token();
    let _ = write!(text, "# personal access token {token}");
    text
}

/// Something to look at.
fn seed(standin: &Standin) {
    standin.put("/Gateway/README.txt", b"Put here by --seed-demo.\n");
    standin.put(
        "/Gateway/conf/items/home.items",
        b"Switch Light \"Light\"\n",
    );
    standin.put("/Gateway/conf/rules/home.rules", b"// no rules yet\n");
    standin.put("/Gateway/big.bin", &vec![42; 5 * 1024 * 1024]);
    standin.mkdir("/Gateway/empty");
}
