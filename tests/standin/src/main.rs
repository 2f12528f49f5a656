//! The stand-in as a server, for trying clients by hand.

use std::process::ExitCode;

use dropbox_standin::{Endpoint, Standin};

const USAGE: &str = "usage: dropbox-standin [--port N] [--seed-demo] [--page-limit N] [-v]";

struct Options {
    port: u16,
    demo: bool,
    page_limit: Option<usize>,
    verbose: bool,
}

fn options(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        port: 0,
        demo: false,
        page_limit: None,
        verbose: false,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--port" => options.port = words.next()?.parse().ok()?,
            "--page-limit" => options.page_limit = Some(words.next()?.parse().ok()?),
            "--seed-demo" => options.demo = true,
            "-v" => options.verbose = true,
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let standin = Standin::new();
    standin.run_clock();
    if let Some(entries) = options.page_limit {
        standin.set_page_limit(entries);
    }
    if options.demo {
        seed(&standin);
    }
    let listeners = match standin.listen_on(options.port) {
        Ok(listeners) => listeners,
        Err(error) => {
            eprintln!("cannot listen: {error}");
            return ExitCode::FAILURE;
        }
    };
    for endpoint in Endpoint::ALL {
        println!("{} = \"{}\"", endpoint.name(), listeners.url(endpoint));
    }
    println!("# app key standin-key, app secret standin-secret");
    println!(
        "# personal access token {}",
        standin.personal_access_token()
    );
    if options.verbose {
        standin.on_request(Box::new(|request| {
            let bytes = request.body.len();
            let (method, endpoint) = (&request.method, request.endpoint.name());
            println!("{method} {endpoint} {} {bytes} bytes", request.path());
        }));
    }
    loop {
        std::thread::park();
    }
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
