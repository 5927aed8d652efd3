//! The progress of a command that reads much, for who waits at a terminal.
//!
//! It counts nothing itself: the work adds to [`Progress::counter`]. The rules: a bar is shown on a
//! terminal only, once the work has taken a second, and on stderr, so that results stay clean; it
//! is gone before the command prints its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long work takes before its progress is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the bar is drawn.
const TICK: Duration = Duration::from_millis(100);

/// The bar for bytes of files of a known length, and the one for a pipe.
const BAR: &str = "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const NO_END: &str = "{msg} {spinner} {bytes}, {bytes_per_sec}";
/// The bar for things that are counted.
const COUNTED: &str = "{msg} [{bar:30}] {human_pos} of {human_len}, {eta} left";

/// The progress of some work.
pub(crate) struct Progress {
    counter: Arc<AtomicU64>,
    bar: ProgressBar,
    is_over: Arc<AtomicBool>,
    drawing: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows how many bytes were read, of this many if that is known.
    pub(crate) fn of_bytes(what: &'static str, total: Option<u64>) -> Progress {
        let template = match total {
            Some(_) => BAR,
            None => NO_END,
        };
        Progress::new(what, total, template, ProgressDrawTarget::stderr())
    }

    /// Shows how many of so many things are done.
    #[expect(dead_code, reason = "for work that is not counted in bytes")]
    pub(crate) fn of_things(what: &'static str, total: u64) -> Progress {
        Progress::new(what, Some(total), COUNTED, ProgressDrawTarget::stderr())
    }

    fn new(
        what: &'static str,
        total: Option<u64>,
        template: &str,
        target: ProgressDrawTarget,
    ) -> Progress {
        let (counter, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        // The templates are constants, and a test reads them.
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let drawing = (!target.is_hidden()).then(|| {
            let drawing = Drawing {
                what,
                bar: bar.clone(),
                counter: counter.clone(),
                is_over: is_over.clone(),
            };
            thread::Builder::new()
                .name("progress".to_owned())
                .spawn(move || drawing.run(target))
                .ok()
        });
        Progress {
            counter,
            bar,
            is_over,
            drawing: drawing.flatten(),
        }
    }

    /// Returns what the work adds to.
    pub(crate) fn counter(&self) -> &AtomicU64 {
        &self.counter
    }

    /// Runs `print` while the bar is out of the way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match self.bar.is_hidden() {
            true => print(),
            false => self.bar.suspend(print),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        if let Some(drawing) = self.drawing.take() {
            drawing.thread().unpark();
            // Its panic would be a fault of the bar, and the work is done.
            let _ = drawing.join();
        }
    }
}

struct Drawing {
    what: &'static str,
    bar: ProgressBar,
    counter: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Drawing {
    fn run(self, target: ProgressDrawTarget) {
        self.rest(PATIENCE);
        if self.is_over.load(Relaxed) {
            return;
        }
        self.bar.set_message(self.what);
        self.bar.set_draw_target(target);
        while !self.is_over.load(Relaxed) {
            self.bar.set_position(self.counter.load(Relaxed));
            self.bar.tick();
            self.rest(TICK);
        }
        self.bar.finish_and_clear();
    }

    /// Sleeps until the time has passed or the work is over.
    fn rest(&self, time: Duration) {
        let end = std::time::Instant::now() + time;
        while !self.is_over.load(Relaxed) {
            let Some(left) = end.checked_duration_since(std::time::Instant::now()) else {
                return;
            };
            thread::park_timeout(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_read() {
        for template in [BAR, NO_END, COUNTED] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn nothing_is_drawn_where_nobody_looks_and_the_work_goes_on() {
        let hidden = ProgressDrawTarget::hidden();
        let progress = Progress::new("reading", Some(7), BAR, hidden);
        assert!(progress.drawing.is_none());
        progress.counter().fetch_add(7, Relaxed);
        assert_eq!(progress.suspend(|| 3), 3);
    }
}
