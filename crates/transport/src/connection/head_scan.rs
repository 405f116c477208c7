//! Looks for `Content-Length` beside `Transfer-Encoding` in a request head.
//!
//! hyper prefers the encoding and drops the length silently; two readers of one request that disagree are how requests
//! are smuggled past a proxy (RFC 9112 section 11.2). A head that arrives behind another request is not seen here;
//! that is why a connection also ends after any request with an encoding.

/// Fed with the bytes of a head as they come.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    /// The field name of the line so far, in lower case; `None` once the line cannot matter any more.
    name: [u8; LONGEST],
    length: usize,
    skip_line: bool,
    any_line: bool,
    finished: bool,
    content_length: bool,
    transfer_encoding: bool,
}

const LONGEST: usize = b"transfer-encoding".len();

impl HeadScan {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.finished {
                return;
            }
            self.on_byte(*byte);
        }
    }

    pub(crate) fn is_ambiguous(&self) -> bool {
        self.content_length && self.transfer_encoding
    }

    fn on_byte(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                // Empty lines before the request line are allowed (RFC 9112 section 2.2).
                let empty = self.length == 0 && !self.skip_line;
                self.finished = empty && self.any_line;
                self.any_line |= !empty;
                self.length = 0;
                self.skip_line = false;
            }
            b'\r' => {}
            _ if self.skip_line => {}
            b':' => {
                match self.name.get(..self.length) {
                    Some(b"content-length") => self.content_length = true,
                    Some(b"transfer-encoding") => self.transfer_encoding = true,
                    _ => {}
                }
                self.skip_line = true;
            }
            _ => {
                match self.name.get_mut(self.length) {
                    Some(place) => *place = byte.to_ascii_lowercase(),
                    None => self.skip_line = true,
                }
                self.length += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_both_in_one_head_are_ambiguous() {
        for (head, ambiguous) in [
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", true),
            ("\r\nPOST / HTTP/1.1\ntransfer-ENCODING:chunked\ncontent-length:3\n\n", true),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nTransfer-Encoding: chunked\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nX-Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nA: Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", false),
        ] {
            for step in [1, 7, head.len()] {
                let mut scan = HeadScan::default();
                head.as_bytes().chunks(step).for_each(|c| scan.feed(c));
                assert_eq!(scan.is_ambiguous(), ambiguous, "{head:?} by {step}");
            }
        }
    }
}
