//! Fields of a certificate: subject, issuer and validity. The TLS library verifies certificates but does not return these.

use chrono::{DateTime, NaiveDateTime, Utc};
use qdrant_backup_shared::text::{one_line, shortened};

const SEQUENCE: u8 = 0x30;
/// `[0]`: the version, which the oldest certificates do not have.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const UTC_TIME: u8 = 0x17;
const BMP_STRING: u8 = 0x1e;
/// Object identifiers, encoded: 2.5.4.3, 2.5.4.10 and 2.5.29.17.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// Names are untrusted and shown in messages.
const NAME_MAX_CHARS: usize = 100;

/// A parsed certificate, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The common names of its subject, unescaped.
    pub common_names: Vec<String>,
    /// Its subject in a few words, on one line.
    pub subject: String,
    /// Its issuer in a few words, on one line.
    pub issuer: String,
    /// Whether subject and issuer are the same.
    pub is_self_issued: bool,
    /// Whether it has subject alternative names, which then count alone.
    pub has_alternative_names: bool,
    /// From when on it is valid.
    pub not_before: DateTime<Utc>,
    /// Until when it is valid.
    pub not_after: DateTime<Utc>,
    /// Its public key, as in the certificate (`SubjectPublicKeyInfo`).
    pub public_key: Vec<u8>,
}

impl Certificate {
    /// Parses a certificate in DER. `None` if it is invalid.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (whole, _) = Element::first(der)?;
        let (signed, _) = Element::first(whole.contents)?;
        let mut fields = signed.contents;
        if Element::first(fields)?.0.tag == VERSION {
            fields = Element::first(fields)?.1;
        }
        let mut next = || {
            let (element, rest) = Element::first(fields)?;
            fields = rest;
            Some(element)
        };
        let [_serial, _algorithm, issuer, validity, subject, key] =
            [next()?, next()?, next()?, next()?, next()?, next()?];
        let (not_before, rest) = Element::first(validity.contents)?;
        let (not_after, _) = Element::first(rest)?;
        let extensions = std::iter::from_fn(next).find(|element| element.tag == EXTENSIONS);
        Some(Self {
            common_names: attributes(subject.contents, COMMON_NAME),
            subject: in_words(subject.contents),
            issuer: in_words(issuer.contents),
            is_self_issued: subject.contents == issuer.contents,
            has_alternative_names: extensions
                .is_some_and(|extensions| names_alternatives(extensions.contents)),
            not_before: not_before.time()?,
            not_after: not_after.time()?,
            public_key: key.whole.to_owned(),
        })
    }
}

fn names_alternatives(extensions: &[u8]) -> bool {
    let Some((list, _)) = Element::first(extensions) else { return false };
    Element::all(list.contents)
        .filter_map(|extension| Some(Element::first(extension.contents)?.0))
        .any(|identifier| identifier.contents == SUBJECT_ALT_NAME)
}

/// A name as in `CN=My Own Authority`.
fn in_words(name: &[u8]) -> String {
    let parts = [("CN", COMMON_NAME), ("O", ORGANIZATION)];
    let part = parts.into_iter().find_map(|(short, kind)| {
        attributes(name, kind).last().map(|value| format!("{short}={}", one_line(value)))
    });
    part.map_or_else(|| "no name".to_owned(), |part| shortened(&part, NAME_MAX_CHARS))
}

/// The values of one kind in a name, which is a list of sets of pairs.
fn attributes(name: &[u8], kind: &[u8]) -> Vec<String> {
    let pairs = Element::all(name).flat_map(|set| Element::all(set.contents));
    pairs
        .filter_map(|pair| {
            let (identifier, rest) = Element::first(pair.contents)?;
            let (value, _) = Element::first(rest)?;
            (pair.tag == SEQUENCE && identifier.contents == kind).then(|| value.text())
        })
        .collect()
}

/// An element of DER.
#[derive(Debug, Clone, Copy)]
struct Element<'a> {
    tag: u8,
    contents: &'a [u8],
    /// With tag and length.
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element, and the rest.
    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (length, rest) = if length < 0x80 {
            (usize::from(length), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            if digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        let (whole, _) = bytes.split_at_checked(bytes.len() - rest.len())?;
        Some((Self { tag, contents, whole }, rest))
    }

    fn all(mut bytes: &'a [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let (element, rest) = Self::first(bytes)?;
            bytes = rest;
            Some(element)
        })
    }

    fn text(&self) -> String {
        if self.tag != BMP_STRING {
            return String::from_utf8_lossy(self.contents).into_owned();
        }
        let units = self
            .contents
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }

    /// `YYMMDDHHMMSSZ` of 1950 to 2049, or the same with a year of four digits.
    fn time(&self) -> Option<DateTime<Utc>> {
        let text = std::str::from_utf8(self.contents).ok()?;
        let century = match (self.tag, text.get(..2)) {
            (UTC_TIME, Some(year)) if year < "50" => "20",
            (UTC_TIME, Some(_)) => "19",
            _ => "",
        };
        Some(NaiveDateTime::parse_from_str(&format!("{century}{text}"), "%Y%m%d%H%M%SZ").ok()?.and_utc())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn params(names: &[&str], common_name: Option<&str>) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Own");
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params
    }

    fn der(params: CertificateParams) -> Vec<u8> {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_times_and_key_are_found() {
        let mut given = params(&["a.example"], Some("qdrant\n.example"));
        given.not_before = date_time_ymd(1999, 12, 31);
        given.not_after = date_time_ymd(2126, 1, 2);
        let read = Certificate::read(&der(given)).unwrap();
        assert_eq!(read.common_names, ["qdrant\n.example"]);
        assert_eq!(
            (read.subject.as_str(), read.issuer.as_str()),
            (r"CN=qdrant\n.example", r"CN=qdrant\n.example")
        );
        assert!(read.is_self_issued && read.has_alternative_names);
        assert_eq!(read.not_before.to_rfc3339(), "1999-12-31T00:00:00+00:00");
        assert_eq!(read.not_after.to_rfc3339(), "2126-01-02T00:00:00+00:00");
        assert_eq!(read.public_key[0], SEQUENCE);

        let read = Certificate::read(&der(params(&[], None))).unwrap();
        assert_eq!((read.common_names.len(), read.subject.as_str()), (0, "O=Own"));
        assert!(!read.has_alternative_names);
    }

    #[test]
    fn what_is_torn_is_no_certificate_and_no_panic() {
        let whole = der(params(&["a.example"], Some("a")));
        for length in 0..whole.len() {
            assert_eq!(Certificate::read(&whole[..length]), None);
        }
        for position in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut bent = whole.clone();
                bent[position] = byte;
                drop(Certificate::read(&bent));
            }
        }
    }
}
