//! libFuzzer's entry to `customs_fuzz::attributes`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| customs_fuzz::attributes::run(bytes));
