//! Brings chunks into the one form rtc-sctp reads right.
//!
//! That crate moves on to the next chunk by the length of what it understood, not by the length in the chunk: anything
//! it skips is read as chunks again, and some of its readers panic on lengths that lie. So parameters it has no use for
//! are left out, and so are trailing bytes.

use super::packet::{
    ABORT, COOKIE_ACK, Chunk, HEARTBEAT, INIT, INIT_ACK, RE_CONFIG, RESET_REQUEST, SACK, SHUTDOWN_ACK,
    SHUTDOWN_COMPLETE,
};

const STATE_COOKIE: u16 = 7;
const SUPPORTED_EXTENSIONS: u16 = 0x8008;
const FORWARD_TSN_SUPPORTED: u16 = 0xC000;
const RESET_RESPONSE: u16 = 16;
/// The fixed part of INIT and INIT-ACK.
const INIT_FIXED: usize = 16;
/// The fixed part of a SACK.
const SACK_FIXED: usize = 12;
/// A response without the fields only a TSN reset has.
const RESPONSE_LENGTH: usize = 12;

/// What becomes of a chunk.
pub(super) enum Form {
    /// Good as it is.
    Same,
    /// This instead.
    Other(Vec<u8>),
    /// Not to be read at all.
    Unreadable,
}

/// The form of a chunk that rtc-sctp reads right.
pub(super) fn form(chunk: Chunk<'_>) -> Form {
    let value = match chunk.kind {
        // Causes are of no use, and rtc-sctp panics on a cause whose length lies.
        ABORT | COOKIE_ACK | SHUTDOWN_ACK | SHUTDOWN_COMPLETE => Some(Vec::new()),
        INIT | INIT_ACK => init(chunk),
        SACK => sack(chunk),
        HEARTBEAT => parameters(chunk.value).next().map(|parameter| parameter.raw.to_vec()),
        RE_CONFIG => reset(chunk),
        _ => return Form::Same,
    };
    match value {
        // INIT's flags must be zero to rtc-sctp, and no other chunk here has any that it reads.
        Some(value) => write(chunk.kind, &value).map_or(Form::Unreadable, Form::Other),
        None => Form::Unreadable,
    }
}

struct Parameter<'a> {
    kind: u16,
    raw: &'a [u8],
    value: &'a [u8],
}

/// The parameters of a value, up to the first malformed one.
fn parameters(mut value: &[u8]) -> impl Iterator<Item = Parameter<'_>> {
    std::iter::from_fn(move || {
        let [k0, k1, l0, l1] = *value.first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let raw = value.get(..length)?;
        let parameter = Parameter { kind: u16::from_be_bytes([k0, k1]), raw, value: raw.get(4..)? };
        value = value.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(parameter)
    })
}

/// Appends a parameter; padding goes before it, so that none trails.
fn write_parameter(out: &mut Vec<u8>, kind: u16, value: &[u8]) -> Option<()> {
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(value.len() + 4).ok()?.to_be_bytes());
    out.extend_from_slice(value);
    Some(())
}

fn write(kind: u8, value: &[u8]) -> Option<Vec<u8>> {
    let mut chunk = vec![kind, 0];
    chunk.extend(u16::try_from(value.len() + 4).ok()?.to_be_bytes());
    chunk.extend_from_slice(value);
    Some(chunk)
}

/// The fixed fields, the cookie and the extensions. rtc-sctp looks for FORWARD-TSN among the extensions only.
fn init(chunk: Chunk<'_>) -> Option<Vec<u8>> {
    let (fixed, rest) = chunk.value.split_at_checked(INIT_FIXED)?;
    let mut value = fixed.to_vec();
    let mut extensions = Vec::new();
    for parameter in parameters(rest) {
        match parameter.kind {
            STATE_COOKIE if chunk.kind == INIT_ACK => {
                write_parameter(&mut value, STATE_COOKIE, parameter.value)?
            }
            SUPPORTED_EXTENSIONS => extensions.extend_from_slice(parameter.value),
            FORWARD_TSN_SUPPORTED => extensions.push(super::packet::FORWARD_TSN),
            _ => {}
        }
    }
    extensions.sort_unstable();
    extensions.dedup();
    if !extensions.is_empty() {
        write_parameter(&mut value, SUPPORTED_EXTENSIONS, &extensions)?;
    }
    Some(value)
}

fn sack(chunk: Chunk<'_>) -> Option<Vec<u8>> {
    let (gaps, duplicates) = (usize::from(chunk.u16(8)?), usize::from(chunk.u16(10)?));
    chunk.value.get(..SACK_FIXED + 4 * (gaps + duplicates)).map(<[u8]>::to_vec)
}

fn reset(chunk: Chunk<'_>) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    for parameter in parameters(chunk.value).take(2) {
        let body = match parameter.kind {
            RESET_REQUEST => parameter.value,
            RESET_RESPONSE => parameter.value.get(..RESPONSE_LENGTH - 4)?,
            _ => return None,
        };
        write_parameter(&mut value, parameter.kind, body)?;
    }
    (!value.is_empty()).then_some(value)
}
