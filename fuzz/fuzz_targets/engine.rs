//! libFuzzer's entry to `customs_fuzz::engine`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| customs_fuzz::engine::run(bytes));
