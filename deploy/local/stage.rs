//! The output of the demo: numbered steps, the commands as one would type them, their answers, and
//! a verdict on each.
//!
//! It knows nothing about customs. Colours only on a terminal and only without `NO_COLOR`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use customs_test_support::http::{self, Response};
use customs_test_support::tls::{self, Attempt};

/// Variables that would send curl through a proxy, which cannot reach these loopback ports.
const PROXIES: [&str; 6] = [
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "HTTP_PROXY",
];

/// The output of the demo.
pub(crate) struct Stage {
    colours: bool,
    curl: bool,
    step: u32,
}

impl Stage {
    /// Creates a stage on stdout.
    pub(crate) fn new() -> Stage {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let curl = Command::new("curl")
            .arg("--version")
            .output()
            .is_ok_and(|done| done.status.success());
        Stage {
            colours: std::io::stdout().is_terminal() && !plain,
            curl,
            step: 0,
        }
    }

    /// Begins a step.
    pub(crate) fn step(&mut self, title: &str) {
        self.step += 1;
        let title = format!("{}. {title}", self.step);
        self.line(&format!("\n{}", self.paint("1", &title)));
    }

    /// Prints a sentence.
    pub(crate) fn say(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("   {line}"));
        }
    }

    /// Prints a command as one would type it.
    pub(crate) fn command(&self, text: &str) {
        self.line(&format!("   {}", self.paint("36", &format!("$ {text}"))));
    }

    /// Prints the output of a command.
    pub(crate) fn output(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("     {line}"));
        }
    }

    /// Prints that an expectation was met.
    pub(crate) fn good(&self, text: &str) {
        self.line(&format!("   {}", self.paint("32", &format!("ok: {text}"))));
    }

    /// Prints why the demo ends early, on stderr, so that it is not lost in a pipe.
    pub(crate) fn failed(&self, why: &str) {
        let where_to = if self.step == 0 {
            "cannot start".to_owned()
        } else {
            format!("FAILED at step {}", self.step)
        };
        let _ = writeln!(std::io::stderr(), "\nThe demo {where_to}: {why}");
    }

    fn line(&self, text: &str) {
        // A reader who closed the pipe has seen enough; the demo still cleans up.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Sends `GET http://www.aliyun.com/` through this port, and shows the command and the answer.
    pub(crate) fn get(&self, port: u16) -> Result<Response> {
        self.request(
            port,
            "www.aliyun.com",
            curl_words(port, None, "http://www.aliyun.com/"),
        )
    }

    /// Sends the same with another `Host` header, which is passed to curl as it is, since curl may
    /// normalise what it finds in a URL.
    pub(crate) fn get_as(&self, port: u16, host: &str) -> Result<Response> {
        let mut words = curl_words(port, None, "http://www.aliyun.com/");
        words.extend(["-H".to_owned(), format!("Host: {host}")]);
        self.request(port, host, words)
    }

    fn request(&self, port: u16, host: &str, words: Vec<String>) -> Result<Response> {
        self.command(&shown(&words));
        let answer = if self.curl {
            let done = run_curl(&words)?;
            Response::parse(&done.stdout)
                .with_context(|| String::from_utf8_lossy(&done.stderr).into_owned())?
        } else {
            self.say("(curl is not installed, so the demo sends the same request itself)");
            http::get(port, host, "/")?
        };
        self.answer(&answer);
        Ok(answer)
    }

    /// Sends `GET https://www.aliyun.com/` through this port, which must end in a closed
    /// connection.
    pub(crate) fn get_tls(&self, port: u16, authority: &Path) -> Result<()> {
        let words = curl_words(port, Some(authority), "https://www.aliyun.com/");
        self.command(&shown(&words));
        if !self.curl {
            self.say("(curl is not installed, so the demo sends the same request itself)");
            return match tls::get(port, "www.aliyun.com", authority)? {
                Attempt::Closed(why) => {
                    self.output(&why);
                    Ok(())
                }
                Attempt::Answered(answer) => bail!(
                    "a closed connection was expected, not {}",
                    answer.status_line
                ),
            };
        }
        let done = run_curl(&words)?;
        self.output(String::from_utf8_lossy(&done.stderr).trim());
        // 35: during the handshake; 52 and 56: at the first bytes. Any other exit code is a problem
        // of curl itself.
        if !matches!(done.status.code(), Some(35 | 52 | 56)) {
            bail!(
                "a closed connection was expected, not {}: {}",
                done.status,
                String::from_utf8_lossy(&done.stdout)
            );
        }
        Ok(())
    }

    /// Prints the relevant parts of an answer: status, who sent it, what customs added, and a
    /// problem body.
    fn answer(&self, answer: &Response) {
        self.output(&self.paint("1", &answer.status_line));
        for name in [
            "location",
            "server",
            "content-type",
            "x-customs-reason",
            "x-customs-decision-id",
        ] {
            if let Some(value) = answer.header(name) {
                self.output(&format!("{name}: {value}"));
            }
        }
        if answer.status >= 400 {
            self.output(&format!("\n{}", answer.body.trim_end()));
        }
    }
}

/// Returns the curl command that sends one request to a sidecar as if it were the way out.
pub(crate) fn curl_words(port: u16, authority: Option<&Path>, url: &str) -> Vec<String> {
    let mut words: Vec<String> = ["curl", "-sS", "-i", "--max-time", "10"]
        .map(str::to_owned)
        .to_vec();
    if PROXIES.iter().any(|name| std::env::var_os(name).is_some()) {
        words.extend(["--noproxy".to_owned(), "*".to_owned()]);
    }
    if let Some(authority) = authority {
        words.extend(["--cacert".to_owned(), authority.display().to_string()]);
    }
    words.extend([
        "--connect-to".to_owned(),
        format!("::127.0.0.1:{port}"),
        url.to_owned(),
    ]);
    words
}

/// Returns the words as they can be pasted into a shell.
pub(crate) fn shown(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@".contains(c);
    let quoted = words.iter().map(|word| {
        if word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{word}'")
        }
    });
    quoted.collect::<Vec<String>>().join(" ")
}

fn run_curl(words: &[String]) -> Result<std::process::Output> {
    Command::new("curl")
        .args(words.iter().skip(1))
        .output()
        .context("curl does not run")
}
