//! libFuzzer's entry to `customs_test_support::fuzz_targets::borrowed`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    |bytes: &[u8]| customs_test_support::fuzz_targets::borrowed::run(bytes)
);
