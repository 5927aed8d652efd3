//! libFuzzer's entry to `customs_fuzz::borrowed`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| customs_fuzz::borrowed::run(bytes));
