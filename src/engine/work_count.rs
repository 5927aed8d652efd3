//! Counts the steps of deciding and recording, in unit tests alone, so that a test can hold the cost of a check to a bound
//! without a clock. Elsewhere it is nothing.
//!
//! A step is a comparison of a pattern, a look into a table, a rule that is asked, or [`BYTES`] bytes that are read.

/// How many bytes that are read count as a step.
#[cfg(test)]
const BYTES: usize = 16;

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts steps.
#[inline(always)]
pub fn steps(count: usize) {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + count));
    #[cfg(not(test))]
    let _ = count;
}

/// Counts bytes that are read.
#[inline(always)]
pub fn bytes(count: usize) {
    #[cfg(test)]
    steps(count.div_ceil(BYTES));
    #[cfg(not(test))]
    let _ = count;
}

/// How many steps something takes.
#[cfg(test)]
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = STEPS.with(std::cell::Cell::get);
    let done = work();
    (done, STEPS.with(std::cell::Cell::get) - before)
}

#[cfg(test)]
#[path = "work_count_tests.rs"]
mod tests;
