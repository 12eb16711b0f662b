//! A file system of a few megabytes (`tmpfs`), that can be made larger. Only root can mount one.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Unmounted when dropped.
pub struct TinyDisk {
    folder: TempDir,
}

impl TinyDisk {
    /// With so many megabytes; `None`, with a line that says so, where nothing can be mounted.
    pub fn mount(megabytes: u32) -> Option<Self> {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        let size = format!("size={megabytes}m");
        if run(&["mount", "-t", "tmpfs", "-o", &size, "tmpfs"], disk.path()) {
            return Some(disk);
        }
        eprintln!("skipped: only root can mount the small file system that this scenario fills");
        None
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes room.
    pub fn grow(&self, megabytes: u32) {
        let size = format!("remount,size={megabytes}m");
        assert!(run(&["mount", "-o", &size], self.path()), "the file system can be made larger");
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // What is not mounted needs no unmounting.
        run(&["umount", "-l"], self.path());
    }
}

fn run(words: &[&str], path: &Path) -> bool {
    let path: PathBuf = path.to_owned();
    let status = Command::new(words[0]).args(&words[1..]).arg(path).stderr(std::process::Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
