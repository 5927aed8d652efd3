//! libFuzzer's entry to `customs_fuzz::host`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| customs_fuzz::host::run(bytes));
