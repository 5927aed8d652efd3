//! A pseudo terminal: what a command prints for people, as their terminal gets it.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal, of which a program has one end and the test reads the other.
pub struct Pty {
    user: OwnedFd,
    reading: JoinHandle<Vec<u8>>,
}

impl Pty {
    /// Opens a terminal with so many columns.
    pub fn open(columns: u16) -> Pty {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let user = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let size = Winsize {
            ws_row: 50,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&user, size).unwrap();
        let mut controller = File::from(controller);
        let reading = thread::spawn(move || {
            let mut text = Vec::new();
            // The end of the other side is an error to this one.
            let _ = controller.read_to_end(&mut text);
            text
        });
        Pty {
            user: user.into(),
            reading,
        }
    }

    /// Returns the end for a program's output.
    pub fn stdout(&self) -> Stdio {
        self.user.try_clone().unwrap().into()
    }

    /// Returns what was printed, once every program has closed its end.
    pub fn text(self) -> String {
        drop(self.user);
        let text = self.reading.join().unwrap();
        String::from_utf8(text).unwrap().replace("\r\n", "\n")
    }
}

/// Returns what a command prints on a terminal with so many columns, as a person starts it: without
/// variables about colours.
pub fn printed(mut command: Command, columns: u16, variables: &[(&str, &str)]) -> String {
    let pty = Pty::open(columns);
    // In CI, terminals that say they are dumb take colours.
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "CI"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color");
    command.envs(variables.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(pty.stdout())
        .stderr(Stdio::null());
    command.status().unwrap();
    // The command keeps its own copy of the terminal's end.
    drop(command);
    pty.text()
}
