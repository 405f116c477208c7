//! Listening on a path: for proxies and programs of the same machine.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Who may connect: the owner and his group.
const MODE: u32 = 0o660;

/// A socket's file, which goes when this does.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl SocketFile {
    /// For a socket that has just been made; others than its owner and his group are kept out.
    pub(crate) fn guard(path: &Path) -> io::Result<Self> {
        let file = Self(path.to_owned());
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        Ok(file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens on a path.
///
/// # Errors
/// There is something at the path, or nothing may be made there.
pub(crate) async fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    make_way(path).await?;
    let listener = UnixListener::bind(path)?;
    Ok((listener, SocketFile::guard(path)?))
}

/// A socket that was left behind by a process that is gone is taken away; anything else is not.
///
/// # Errors
/// There is something else at the path.
pub(crate) async fn make_way(path: &Path) -> io::Result<()> {
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something that is no socket"));
        }
        match UnixStream::connect(path).await {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_sockets_nobody_listens_on_are_taken_away() {
        let folder = std::env::temp_dir().join(format!("portunus-unix-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("s");
        let (listener, file) = bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(bind(&path).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        std::mem::forget(file);
        let (_listener, file) = bind(&path).await.unwrap();
        drop(file);
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        assert_eq!(bind(&path).await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        fs::remove_dir_all(&folder).unwrap();
    }
}
