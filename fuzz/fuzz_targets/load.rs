//! libFuzzer's entry to `customs_fuzz::load`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| customs_fuzz::load::run(bytes));
