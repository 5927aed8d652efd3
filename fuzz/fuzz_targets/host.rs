//! libFuzzer's entry to `customs_test_support::fuzz_targets::host`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| customs_test_support::fuzz_targets::host::run(bytes));
