//! What the tests of the whole program share.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

/// A folder with configuration files of its own.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("portunus-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for (file, text) in files {
            fs::write(path.join(file), text).unwrap();
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running gateway.
pub struct Server {
    pub child: Child,
    out: BufReader<ChildStdout>,
    pub lines: Vec<String>,
}

impl Server {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, out, lines: Vec::new() };
        while server.lines.last().is_none_or(|line| line != "Ready") {
            let mut line = String::new();
            assert!(server.out.read_line(&mut line).unwrap() > 0, "it ended: {:?}", server.lines);
            server.lines.push(line.trim_end().to_owned());
        }
        server
    }

    /// Host and port behind a scheme in what it printed.
    pub fn address(&self, scheme: &str) -> String {
        let line = self.lines.iter().find_map(|line| line.split_once(scheme)).expect("an address");
        line.1.split('/').next().unwrap().to_owned()
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// The rest of what it prints, and how it ended.
    pub fn end(mut self) -> (Vec<String>, ExitStatus) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (rest.lines().map(str::to_owned).collect(), self.child.wait().unwrap())
    }

    /// Reads on until a line has this in it.
    pub fn read_until(&mut self, wanted: &str) {
        while !self.lines.last().is_some_and(|line| line.contains(wanted)) {
            let mut line = String::new();
            assert!(
                self.out.read_line(&mut line).unwrap() > 0,
                "it ended before: {wanted}: {:?}",
                self.lines
            );
            self.lines.push(line.trim_end().to_owned());
        }
    }

    pub fn ask(&self, path: &str, body: Option<&str>) -> String {
        ask_at(&self.address("http://"), path, body)
    }
}

pub fn ask_at(address: &str, path: &str, body: Option<&str>) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let head = match body {
        None => format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        Some(body) => {
            format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
    };
    connection.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
