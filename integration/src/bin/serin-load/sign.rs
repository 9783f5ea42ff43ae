//! The sign that answers come: a file, which a health check can look for without asking anybody.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A file that is there while the number of answers grows.
#[derive(Debug)]
pub(crate) struct Sign {
    file: PathBuf,
    answered: u64,
}

impl Sign {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, answered: 0 }
    }

    /// Puts the file there if more was answered than the last time, and takes it away otherwise.
    ///
    /// # Errors
    /// If the file can neither be written nor removed: the sign would be wrong.
    pub(crate) fn show(&mut self, answered: u64) -> Result<()> {
        let result = if answered > self.answered {
            fs::write(&self.file, "")
        } else {
            match fs::remove_file(&self.file) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                other => other,
            }
        };
        self.answered = answered;
        result.with_context(|| self.file.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_there_while_answers_come_and_gone_when_none_came() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("answered");
        let mut sign = Sign::new(file.clone());
        for (answered, there) in [(0, false), (5, true), (9, true), (9, false), (10, true)] {
            sign.show(answered).unwrap();
            assert_eq!(file.exists(), there, "{answered}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut sign = Sign::new(folder.path().join("none/answered"));
        let error = sign.show(1).unwrap_err();
        assert!(format!("{error:#}").contains("answered"), "{error:#}");
    }
}
