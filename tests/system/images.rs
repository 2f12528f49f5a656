//! Filesystems of a test's own: ext4 images on loop mounts, and tmpfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An ext4 filesystem in a sparse file.
#[derive(Clone)]
pub struct Image(PathBuf);

impl Image {
    /// Makes one of so many MiB.
    pub fn make(path: &Path, mebibytes: u64) -> Result<Image, String> {
        Image::make_with(path, mebibytes, &[])
    }

    /// The same with blocks as a card has them.
    pub fn card(path: &Path, mebibytes: u64) -> Result<Image, String> {
        Image::make_with(path, mebibytes, &["-b", "4096"])
    }

    fn make_with(path: &Path, mebibytes: u64, options: &[&str]) -> Result<Image, String> {
        let file = fs::File::create(path).map_err(|error| error.to_string())?;
        file.set_len(mebibytes << 20)
            .map_err(|error| error.to_string())?;
        let path = path.to_owned();
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F"])
            .args(options)
            .arg(&path))?;
        Ok(Image(path))
    }

    /// What a power cut right now would leave: only what has been forced to the medium, and what
    /// the kernel wrote by itself.
    pub fn copy_to(&self, path: &Path) -> Image {
        let mut copy = Command::new("cp");
        copy.args(["--sparse=always", "--reflink=auto"]);
        run(copy.arg(&self.0).arg(path)).unwrap();
        Image(path.to_owned())
    }

    /// Whether the filesystem needs no repair once its journal is played back.
    pub fn is_sound(&self) -> bool {
        // 1: the journal was played back, or a count corrected.
        let check = Command::new("e2fsck")
            .args(["-f", "-p"])
            .arg(&self.0)
            .output();
        matches!(check.unwrap().status.code(), Some(0 | 1))
    }
}

/// Something mounted, until this is dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts an image. Renames and overwriting flush nothing by themselves, and the journal is
    /// committed only when somebody asks for it.
    pub fn image(image: &Image, at: &Path) -> Result<Mounted, String> {
        let options = "loop,noauto_da_alloc,commit=600";
        mount(&["-t", "ext4", "-o", options], &image.0, at)
    }

    /// The same as a gateway mounts its card.
    pub fn card(image: &Image, at: &Path) -> Result<Mounted, String> {
        mount(&["-t", "ext4", "-o", "loop,noatime"], &image.0, at)
    }

    /// Mounts an empty filesystem in memory.
    pub fn tmpfs(options: &str, at: &Path) -> Mounted {
        mount(&["-t", "tmpfs", "-o", options], Path::new("none"), at).unwrap()
    }

    /// Changes options of the mount.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        run(Command::new("mount").args(["-o", &options]).arg(&self.0)).unwrap();
    }

    /// Takes it out of the tree at once, whoever still uses it.
    pub fn lose(self) {
        run(Command::new("umount").arg("-l").arg(&self.0)).unwrap();
        std::mem::forget(self);
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

fn mount(options: &[&str], what: &Path, at: &Path) -> Result<Mounted, String> {
    fs::create_dir_all(at).map_err(|error| error.to_string())?;
    run(Command::new("mount").args(options).args([what, at]))?;
    Ok(Mounted(at.to_owned()))
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A kernel thread may hold it for a moment.
        if run(Command::new("umount").arg(&self.0)).is_err() {
            let _ = run(Command::new("umount").arg("-l").arg(&self.0));
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "{}: {}",
            command.get_program().display(),
            text.trim()
        ))
    }
}
