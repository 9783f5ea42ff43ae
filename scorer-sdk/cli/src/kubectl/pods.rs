//! Which pods run the proxies: what `kubectl get pods` says.

use super::args::Proxies;
use crate::output::plain;
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;

/// Most bytes that are read of the list of pods: some 4,000 names of the greatest length.
const MAX_LIST: u64 = 1 << 20;
/// Most bytes of an error of kubectl's that are shown.
pub(super) const MAX_ERROR: u64 = 4 << 10;
/// Longest name that Kubernetes gives to a pod, in bytes.
const MAX_NAME: usize = 253;

/// kubectl, with the options that say which cluster and namespace.
pub(super) fn kubectl(proxies: &Proxies) -> Command {
    let mut command = Command::new("kubectl");
    if let Some(context) = &proxies.context {
        command.arg(format!("--context={context}"));
    }
    if let Some(kubeconfig) = &proxies.kubeconfig {
        command.arg(format!("--kubeconfig={kubeconfig}"));
    }
    command
        .arg(format!("--namespace={}", proxies.namespace))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Why kubectl could not be started.
pub(super) const NO_KUBECTL: &str =
    "cannot start kubectl: install it, https://kubernetes.io/docs/tasks/tools/";

/// The running pods of a selector in the order of their names, or the one that is named.
///
/// # Errors
/// When kubectl cannot be started, fails, or lists no pod.
pub(super) fn running(proxies: &Proxies) -> Result<Vec<String>> {
    if let Some(pod) = &proxies.pod {
        ensure!(is_name(pod), "{:?} is no name of a pod", plain(pod));
        return Ok(vec![pod.clone()]);
    }
    let mut child = kubectl(proxies)
        .arg(format!("--request-timeout={}s", proxies.timeout.as_secs()))
        .args(["get", "pods", "--field-selector=status.phase=Running"])
        .arg(format!("--selector={}", proxies.selector))
        .args(["--output=jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}"])
        .spawn()
        .context(NO_KUBECTL)?;
    let errors = child.stderr.take().context("kubectl's errors")?;
    // Both are read at once: kubectl waits where nobody reads.
    let errors = thread::spawn(move || text(errors, MAX_ERROR));
    let list = text(child.stdout.take().context("kubectl's output")?, MAX_LIST);
    let ended = child.wait().context("cannot wait for kubectl")?;
    let errors = errors.join().unwrap_or_default();
    if !ended.success() {
        bail!("kubectl cannot list the pods: {}", plain(errors.trim()));
    }
    let mut names = names(&list)?;
    names.sort();
    if names.is_empty() {
        bail!(
            "no running pod in the namespace {} has the labels {}: say others with -n and -l",
            plain(&proxies.namespace),
            plain(&proxies.selector)
        );
    }
    Ok(names)
}

/// At most `limit` bytes of what is read, as text. The rest is read and dropped, so that the writer
/// does not wait.
pub(super) fn text(mut input: impl Read, limit: u64) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is said all the same.
    let _ = input.by_ref().take(limit).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut input, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The names in kubectl's list.
fn names(list: &str) -> Result<Vec<String>> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            ensure!(
                is_name(line),
                "kubectl lists {:?}, no name of a pod",
                plain(line)
            );
            Ok(line.to_owned())
        })
        .collect()
}

/// Whether Kubernetes takes this as the name of a pod. Anything else could be an option of kubectl.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= MAX_NAME
        && text.bytes().next().is_some_and(plain)
        && text
            .bytes()
            .all(|byte| plain(byte) || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_of_a_pod_never_reaches_kubectl() {
        assert_eq!(names("a-1\nb.c\n\n").unwrap(), ["a-1", "b.c"]);
        for wrong in ["--all", "-n", "A", "a b", "a/b", &"a".repeat(254)] {
            assert!(names(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_read_to_its_end() {
        let mut input: &[u8] = b"abcdef";
        assert_eq!(text(&mut input, 4), "abcd");
        assert!(input.is_empty());
    }
}
