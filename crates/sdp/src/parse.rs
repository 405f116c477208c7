//! From text to [`Description`].
//!
//! Two passes over borrowed lines, both linear: `lines` checks size, characters and the shape of every line,
//! [`Description::parse`] then reads session and m-lines; `media` reads one m-line. What Janus refuses is refused
//! with Janus' text (a line that is no `x=value`, bad v=, o=, t=, m= lines, an attribute with an empty value); what
//! it skips is skipped. Order of lines within a section, missing t= and unknown types do not matter.
//! Stricter than Janus: control characters, mids that are no word or stand twice.

mod lines;
mod media;

use crate::description::{Description, RemoteTransport};
use crate::limits::{
    MAX_BUNDLE, MAX_CANDIDATES, MAX_EXTENSIONS, MAX_ICE_CREDENTIAL, MAX_MEDIA, MAX_SHARED_BYTES, MAX_WORD,
};
use crate::{Candidate, Direction, Error, Extension, Fingerprint, HashFunction, Origin, RidOrder, Setup};

use lines::{Line, is_word, read_lines};
use media::MediaReader;

impl Description {
    /// Reads an offer or answer.
    ///
    /// # Errors
    /// [`Error::NotSdp`], [`Error::MissingLines`], [`Error::TooLarge`], [`Error::Malformed`] as their names say;
    /// [`Error::NoTransport`] without ICE credentials or fingerprint for the first m-line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let lines = read_lines(text)?;
        let mut session = Session::default();
        let mut media: Vec<MediaReader<'_>> = Vec::new();
        for line in &lines {
            if line.kind == 'm' {
                if media.len() >= MAX_MEDIA {
                    return Err(Error::TooLarge { what: "m-lines", limit: MAX_MEDIA });
                }
                media.push(MediaReader::new(media.len(), line)?);
                continue;
            }
            match media.last_mut() {
                Some(current) => current.read(line)?,
                None => session.read(line)?,
            }
        }
        session.finish(media)
    }
}

/// The session's lines and what the m-lines inherit from them.
#[derive(Default)]
struct Session<'a> {
    origin: Option<Origin>,
    name: String,
    bundle: Vec<String>,
    extmap_allow_mixed: bool,
    msid_semantic: Option<String>,
    direction: Option<Direction>,
    extensions: Vec<Extension>,
    lite: bool,
    transport: TransportLines<'a>,
}

impl<'a> Session<'a> {
    fn read(&mut self, line: &Line<'a>) -> Result<(), Error> {
        match line.kind {
            'v' if line.value.parse::<i32>().is_err() => Err(line.malformed("Invalid v= line")),
            'o' => {
                self.origin = Some(read_origin(line)?);
                Ok(())
            }
            's' => {
                self.name = line.value.to_owned();
                Ok(())
            }
            't' if !is_time(line.value) => Err(line.malformed("Invalid t= line")),
            'a' => self.read_attribute(line),
            _ => Ok(()),
        }
    }

    fn read_attribute(&mut self, line: &Line<'a>) -> Result<(), Error> {
        let (name, value) = line.attribute()?;
        if self.transport.read(name, value, line)? {
            return Ok(());
        }
        match name {
            "group" if self.bundle.is_empty() => {
                let mut words = value.split_ascii_whitespace();
                if words.next() == Some("BUNDLE") {
                    self.bundle = words.take(MAX_BUNDLE).map(str::to_owned).collect();
                }
            }
            "extmap-allow-mixed" => self.extmap_allow_mixed = true,
            "msid-semantic" => self.msid_semantic = Some(value.trim().to_owned()),
            "ice-lite" => self.lite = true,
            "extmap" if self.extensions.len() < MAX_EXTENSIONS => {
                self.extensions.extend(read_extension(value))
            }
            _ => self.direction = self.direction.or_else(|| Direction::from_name(name)),
        }
        Ok(())
    }

    fn finish(self, readers: Vec<MediaReader<'a>>) -> Result<Description, Error> {
        let lite = self.lite || readers.iter().any(|m| m.lite);
        let carrier = self.carrier(&readers);
        let transport = self.transport.resolve(carrier.map(|m| &m.transport), lite)?;
        let carrier = carrier.map(MediaReader::index);
        let of_session = self.extensions.iter().map(|e| e.uri.len()).sum();
        if readers.iter().map(|m| m.shared_bytes(of_session)).sum::<usize>() > MAX_SHARED_BYTES {
            return Err(Error::TooLarge {
                what: "bytes of attributes that are shared",
                limit: MAX_SHARED_BYTES,
            });
        }
        let mut media = Vec::with_capacity(readers.len());
        for reader in readers {
            let mut line = reader.finish(self.direction, &self.extensions);
            line.carrier = carrier == Some(line.index);
            media.push(line);
        }
        check_mids(&media)?;
        Ok(Description {
            origin: self.origin.ok_or(Error::MissingLines)?,
            session_name: self.name,
            bundle: self.bundle,
            media,
            extmap_allow_mixed: self.extmap_allow_mixed,
            msid_semantic: self.msid_semantic,
            rid_order: RidOrder::default(),
            transport,
        })
    }

    /// The m-line whose transport lines count: the first, whatever its port. Only when that one is rejected for good
    /// (a browser that stopped its first transceiver: port 0, and not in the BUNDLE group or without credentials),
    /// the first that is meant in the order of the group.
    fn carrier<'m>(&self, readers: &'m [MediaReader<'a>]) -> Option<&'m MediaReader<'a>> {
        let first = readers.first()?;
        let shared = self.transport.has_credentials();
        let grouped =
            self.bundle.is_empty() || first.mid().is_none_or(|mid| self.bundle.iter().any(|b| b == mid));
        if first.port() != 0 || (grouped && (shared || first.transport.has_credentials())) {
            return Some(first);
        }
        let meant = |m: &&MediaReader<'a>| m.port() != 0 && (shared || m.transport.has_credentials());
        let tagged = |mid: &String| readers.iter().find(|m| m.mid() == Some(mid.as_str())).filter(meant);
        self.bundle.iter().find_map(tagged).or_else(|| readers.iter().find(meant)).or(Some(first))
    }
}

/// ICE and DTLS lines of one section.
#[derive(Default)]
struct TransportLines<'a> {
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    ice_options: Option<&'a str>,
    candidates: Vec<&'a str>,
    end_of_candidates: bool,
}

/// Fingerprint lines kept of one section: one for every hash, with room for renewal.
const MAX_FINGERPRINTS: usize = 8;

impl<'a> TransportLines<'a> {
    /// Takes the attribute if it belongs to the transport.
    fn read(&mut self, name: &str, value: &'a str, line: &Line<'a>) -> Result<bool, Error> {
        match name {
            "ice-ufrag" => self.ufrag = Some(credential(value, line)?),
            "ice-pwd" => self.pwd = Some(credential(value, line)?),
            "fingerprint" if self.fingerprints.len() < MAX_FINGERPRINTS => {
                self.fingerprints.extend(Fingerprint::parse(value));
            }
            "fingerprint" => {}
            "setup" => self.setup = Setup::from_name(value.trim()),
            "ice-options" => self.ice_options = Some(value),
            "candidate" if self.candidates.len() < MAX_CANDIDATES => self.candidates.push(value),
            "candidate" => {}
            "end-of-candidates" => self.end_of_candidates = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn has_credentials(&self) -> bool {
        self.ufrag.is_some() && self.pwd.is_some()
    }

    /// This section's lines as defaults under those of an m-line.
    fn resolve(&self, media: Option<&TransportLines<'a>>, lite: bool) -> Result<RemoteTransport, Error> {
        let media = media.unwrap_or(self);
        let ufrag = media.ufrag.or(self.ufrag).ok_or(Error::NoTransport("ice-ufrag"))?;
        let pwd = media.pwd.or(self.pwd).ok_or(Error::NoTransport("ice-pwd"))?;
        let fingerprint = best_fingerprint(&media.fingerprints)
            .or_else(|| best_fingerprint(&self.fingerprints))
            .ok_or(Error::NoTransport("fingerprint"))?;
        let options = media.ice_options.or(self.ice_options).unwrap_or_default();
        let candidates = media.candidates.iter().filter_map(|text| Candidate::parse(text).ok()).collect();
        Ok(RemoteTransport {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
            fingerprint: fingerprint.clone(),
            setup: media.setup.or(self.setup),
            ice_options: options.split_ascii_whitespace().take(8).map(str::to_owned).collect(),
            candidates,
            end_of_candidates: media.end_of_candidates || self.end_of_candidates,
            lite,
        })
    }
}

fn best_fingerprint(all: &[Fingerprint]) -> Option<&Fingerprint> {
    // RFC 8122 section 5.1 lets us take the hash we like best; sha-256 is what every peer computes.
    [HashFunction::Sha256, HashFunction::Sha384, HashFunction::Sha512, HashFunction::Sha1]
        .into_iter()
        .find_map(|hash| all.iter().find(|f| f.hash == hash))
}

fn credential<'a>(value: &'a str, line: &Line<'_>) -> Result<&'a str, Error> {
    let value = value.trim();
    if value.len() > MAX_ICE_CREDENTIAL {
        return Err(Error::TooLarge { what: "characters of an ICE credential", limit: MAX_ICE_CREDENTIAL });
    }
    if !is_word(value) {
        return Err(line.malformed("Invalid a= line"));
    }
    Ok(value)
}

fn read_origin(line: &Line<'_>) -> Result<Origin, Error> {
    let bad = || line.malformed("Invalid o= line");
    let mut words = line.value.split_ascii_whitespace();
    let mut word = || words.next().ok_or_else(bad);
    let username = word()?;
    let (id, version) = (word()?, word()?);
    let (net, family, address) = (word()?, word()?, word()?);
    let known = net == "IN" && matches!(family, "IP4" | "IP6") && !address.is_empty();
    if !known || username.len() > MAX_WORD {
        return Err(bad());
    }
    Ok(Origin {
        username: username.to_owned(),
        id: read_u64(id).ok_or_else(bad)?,
        version: read_u64(version).ok_or_else(bad)?,
    })
}

/// Reads numbers as `strtoull` does, which Janus uses: saturating, a negative one wraps.
fn read_u64(word: &str) -> Option<u64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().unwrap_or(u64::MAX);
    Some(if word.starts_with('-') { number.wrapping_neg() } else { number })
}

fn is_time(value: &str) -> bool {
    let mut words = value.split_ascii_whitespace();
    let mut number = || words.next().is_some_and(|w| read_u64(w).is_some());
    number() && number()
}

/// Value of an extmap line; `None` for an encrypted extension, an id that packets cannot carry, a URI that is no word.
fn read_extension(value: &str) -> Option<Extension> {
    let mut words = value.split_ascii_whitespace();
    let (id, direction) = match words.next()?.split_once('/') {
        Some((id, suffix)) => (id, Direction::from_name(suffix)),
        None => (value.split_ascii_whitespace().next()?, None),
    };
    // RFC 8285 section 4.2: 0 is padding, 15 is reserved in the one-byte form we prefer.
    let id: u8 = id.parse().ok().filter(|id| !matches!(id, 0 | 15))?;
    let uri = words.next().filter(|uri| is_word(uri) && uri.len() <= MAX_WORD)?;
    if uri == crate::ext::ENCRYPT {
        return None;
    }
    Some(Extension { id, uri: uri.to_owned(), direction })
}

fn check_mids(media: &[crate::Media]) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::with_capacity(media.len());
    for m in media {
        if !seen.insert(m.mid.as_str()) {
            let text = m.mid.clone();
            return Err(Error::Malformed { line: 0, what: "Duplicate mid", text });
        }
    }
    Ok(())
}
