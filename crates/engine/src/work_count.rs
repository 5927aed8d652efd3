//! Counts the steps of deciding, with the feature `count-steps` alone, so that a test can hold the cost of a check to a bound
//! without a clock. Elsewhere it is nothing.
//!
//! A step is a comparison of a pattern, a look into a table, a rule that is asked, or `BYTES` bytes that are read.

/// How many bytes that are read count as a step.
#[cfg(feature = "count-steps")]
const BYTES: usize = 16;

#[cfg(feature = "count-steps")]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts steps.
#[inline(always)]
pub fn steps(count: usize) {
    #[cfg(feature = "count-steps")]
    STEPS.with(|steps| steps.set(steps.get() + count));
    #[cfg(not(feature = "count-steps"))]
    let _ = count;
}

/// Counts bytes that are read.
#[inline(always)]
pub fn bytes(count: usize) {
    #[cfg(feature = "count-steps")]
    steps(count.div_ceil(BYTES));
    #[cfg(not(feature = "count-steps"))]
    let _ = count;
}

/// How many steps something takes.
#[cfg(feature = "count-steps")]
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = STEPS.with(std::cell::Cell::get);
    let done = work();
    (done, STEPS.with(std::cell::Cell::get) - before)
}
