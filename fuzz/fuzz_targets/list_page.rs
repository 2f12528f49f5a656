//! See `targets::list_page`.

#![no_main]

#[allow(dead_code, reason = "one body of several")]
#[path = "../../tests/it/hostile/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::list_page(data));
