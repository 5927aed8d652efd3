//! Counts the steps of deciding, with the feature `count-steps` only, so that a test can bound the
//! cost of a check without a clock. Without the feature it does nothing.
//!
//! A step is a comparison of a pattern, a table lookup, a rule that is evaluated, or `BYTES` bytes
//! that are read.

/// How many bytes that are read count as one step.
#[cfg(feature = "count-steps")]
const BYTES: usize = 16;

#[cfg(feature = "count-steps")]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts steps.
#[inline(always)]
pub(crate) fn steps(count: usize) {
    #[cfg(feature = "count-steps")]
    STEPS.with(|steps| steps.set(steps.get() + count));
    #[cfg(not(feature = "count-steps"))]
    let _ = count;
}

/// Counts bytes that are read.
#[inline(always)]
pub(crate) fn bytes(count: usize) {
    #[cfg(feature = "count-steps")]
    steps(count.div_ceil(BYTES));
    #[cfg(not(feature = "count-steps"))]
    let _ = count;
}

/// Returns the result of some work and how many steps it took.
#[cfg(feature = "count-steps")]
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = STEPS.with(std::cell::Cell::get);
    let done = work();
    (done, STEPS.with(std::cell::Cell::get) - before)
}
