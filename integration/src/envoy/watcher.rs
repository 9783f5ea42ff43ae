//! Ends a process when this one ends, however it ends.
//!
//! A shell waits for the end of its standard input, which comes when this process is gone, and then
//! ends the other. It works for every kind of end, `kill -9` included, and asks nothing of the
//! process that is watched, whose id stays its own.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Ctrl-C reaches the shell as well; what it waits for comes after. Istio's agent ends its Envoy only
/// when it is asked to go, so that the process has five seconds for that.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r line
kill "$0" 2>/dev/null || exit 0
tenths=0
while [ "$tenths" -lt 50 ] && kill -0 "$0" 2>/dev/null; do
    sleep 0.1
    tenths=$((tenths + 1))
done
kill -9 "$0" 2>/dev/null
"#;

/// Ends a process with this one. Dropped, it lets that process live.
#[derive(Debug)]
pub struct Watcher {
    shell: Child,
}

impl Watcher {
    /// Watches over a process by its id.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn of(process: u32) -> Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, &process.to_string()])
            // Ours alone: no other child inherits this end of it.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start /bin/sh")?;
        Ok(Self { shell })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Before its standard input ends: the other's id may be another process's by then.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read};

    /// A process of ours that starts another under a watcher, and says so.
    const ROLE: &str = "SERIN_TEST_WATCHER_PARENT";

    #[test]
    fn a_process_ends_when_the_one_that_started_it_is_killed() {
        if std::env::var_os(ROLE).is_some() {
            let mut child = Command::new("sleep").arg("600").spawn().unwrap();
            let _watcher = Watcher::of(child.id()).unwrap();
            println!("started");
            child.wait().unwrap();
        }
        let name = "a_process_ends_when_the_one_that_started_it_is_killed";
        let mut parent = Command::new(std::env::current_exe().unwrap())
            .args([name, "--nocapture"])
            .env(ROLE, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(parent.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("started") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0);
        }
        parent.kill().unwrap();
        parent.wait().unwrap();
        // The sleeping process has the same standard output: it ends when that process does.
        output.read_to_string(&mut line).unwrap();
    }

    #[test]
    fn a_process_outlives_its_watcher() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        drop(Watcher::of(child.id()).unwrap());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
