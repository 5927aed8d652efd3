//! How stdout shows text: its width, and whether it shows colours. The rule: a pipe gets the same
//! text on every machine, without colours.

use std::io::IsTerminal;

/// The width of text for a pipe, and the most for a terminal, in columns. Longer lines are hard to
/// read.
const WIDTH: usize = 100;

/// The least width for which text is wrapped.
const NARROW: usize = 20;

/// Returns whether stdout is a terminal that shows colours: `NO_COLOR` is not set, and `TERM` is
/// not `dumb`.
pub(super) fn is_coloured() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !dumb
}

/// Returns the width to which text is wrapped, in columns.
pub(super) fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let columns = size.map(|size| usize::from(size.ws_col));
    columns
        .filter(|columns| *columns > 0)
        .map_or(WIDTH, |columns| columns.clamp(NARROW, WIDTH))
}
