//! Child processes that never outlive their owner, and whose last log lines are shown when they
//! fail.
//!
//! Orderly ends kill each child by its handle. Sudden ends (Ctrl-C, SIGKILL, a static that is never
//! dropped) are handled by the [`Guard`]: a small shell that holds a pipe from this process and,
//! when the pipe closes, kills what is left and removes the scratch folder. Children are in process
//! groups of their own, so Ctrl-C reaches them only through this process.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};

/// Reads `watch PID` and `forget PID`; at the end of input kills what is still watched and removes
/// the folder `$1`.
const GUARD: &str = r#"
pids=
while read -r verb pid; do
  case $verb in
    watch) pids="$pids $pid" ;;
    forget) left=; for p in $pids; do [ "$p" = "$pid" ] || left="$left $p"; done; pids=$left ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids 2>/dev/null
# A process that is being killed may still create a file in there.
rm -rf -- "$1" 2>/dev/null || { sleep 1; rm -rf -- "$1"; }
"#;

/// Cleans up after this process, however it ends.
pub struct Guard {
    shell: Child,
    orders: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Starts a guard for this scratch folder and for the children that are reported to it.
    pub fn over(folder: &Path) -> Result<Arc<Guard>> {
        let mut shell = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        let orders = Mutex::new(shell.stdin.take());
        Ok(Arc::new(Guard { shell, orders }))
    }

    fn send(&self, verb: &str, pid: u32) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = orders.as_mut() {
            // A guard that is gone cannot help any more; an orderly end does not need it.
            let _ = writeln!(pipe, "{verb} {pid}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(
            self.orders
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let _ = self.shell.wait();
    }
}

/// A running child with its log.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    guard: Arc<Guard>,
}

impl Process {
    /// Starts the command with both outputs appended to the log.
    pub fn start(
        name: &str,
        command: &mut Command,
        log: &Path,
        guard: &Arc<Guard>,
    ) -> Result<Process> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| log.display().to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}: {}", command.get_program().display()))?;
        guard.send("watch", child.id());
        Ok(Process {
            name: name.to_owned(),
            child,
            log: log.to_path_buf(),
            guard: Arc::clone(guard),
        })
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the path of its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until the probe returns true. An early end, or a timeout, is an error that quotes the
    /// log.
    pub fn wait_until_ready(&mut self, mut probe: impl FnMut() -> bool) -> Result<()> {
        let mut ended = None;
        let ready = crate::wait_for(|| {
            ended = self.child.try_wait().ok().flatten();
            if ended.is_some() {
                Some(false)
            } else {
                probe().then_some(true)
            }
        });
        match (ready, ended) {
            (Some(true), _) => Ok(()),
            (_, Some(status)) => {
                bail!(
                    "{} ended at once ({status}); its last lines:\n{}",
                    self.name,
                    last_words(&self.log)
                )
            }
            _ => bail!(
                "{} was not ready in {:?}; its last lines:\n{}",
                self.name,
                crate::PATIENCE,
                last_words(&self.log)
            ),
        }
    }

    /// SIGKILL: the end that a process cannot prepare for.
    pub fn kill(mut self) {
        self.end();
    }

    /// Sends a signal by its short name.
    pub fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let is_sent = Command::new("kill").args(["-s", name, &id]).status()?;
        if !is_sent.success() {
            bail!("cannot send {name} to {}", self.name);
        }
        Ok(())
    }

    /// Waits for the end and returns how it ended, or an error if that takes too long.
    pub fn end_by_itself(mut self) -> Result<ExitStatus> {
        crate::wait_for(|| self.child.try_wait().ok().flatten()).with_context(|| {
            format!(
                "{} did not end in {:?}; its last lines:\n{}",
                self.name,
                crate::PATIENCE,
                last_words(&self.log)
            )
        })
    }

    fn end(&mut self) {
        // Both fail only if the child is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.guard.send("forget", self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns the last lines of a log, indented, to show when its writer failed.
pub fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines
        .get(lines.len().saturating_sub(20)..)
        .unwrap_or_default();
    if tail.is_empty() {
        "  (it said nothing)".to_owned()
    } else {
        format!("  {}", tail.join("\n  "))
    }
}
