//! Extensions before a member's header: GNU long names and PAX records.

use super::header::ExtensionKind;

/// The overrides collected for the next member.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

/// The relevant PAX records.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    stored_bytes: Option<u64>,
    sparse: bool,
}

impl Extensions {
    /// Adds the content of an extension.
    ///
    /// # Errors
    /// When it is malformed, or the same member already has one of its kind.
    pub(super) fn add(&mut self, kind: ExtensionKind, content: &[u8]) -> Result<(), &'static str> {
        let repeated = match kind {
            ExtensionKind::LongName => self.long_name.replace(name(content)).is_some(),
            ExtensionKind::LongLink => self.long_link.replace(name(content)).is_some(),
            ExtensionKind::PaxGlobal => {
                // A comment or a time stamp for the whole archive is harmless; one name or size is not.
                let pax = Pax::parse(content).ok_or("a malformed global PAX header")?;
                if pax != Pax::default() {
                    return Err("a global PAX header gives all members one name or size");
                }
                false
            }
            ExtensionKind::Pax => {
                self.pax.replace(Pax::parse(content).ok_or("a malformed PAX header")?).is_some()
            }
        };
        if repeated { Err("two extended headers of the same kind for one member") } else { Ok(()) }
    }

    /// Whether there is an extension whose member has not come yet.
    pub(super) fn pending(&self) -> bool {
        self.long_name.is_some() || self.long_link.is_some() || self.pax.is_some()
    }

    /// The overriding name.
    pub(super) fn path(&mut self) -> Option<Vec<u8>> {
        self.pax.as_mut().and_then(|pax| pax.path.take()).or(self.long_name.take())
    }

    /// The overriding link target.
    pub(super) fn link(&mut self) -> Option<Vec<u8>> {
        self.pax.as_mut().and_then(|pax| pax.link.take()).or(self.long_link.take())
    }

    /// The overriding size of the data in the archive.
    pub(super) fn stored_bytes(&self) -> Option<u64> {
        self.pax.as_ref().and_then(|pax| pax.stored_bytes)
    }

    /// Whether the member is sparse in one of the PAX forms.
    pub(super) fn sparse(&self) -> bool {
        self.pax.as_ref().is_some_and(|pax| pax.sparse)
    }
}

fn name(content: &[u8]) -> Vec<u8> {
    content.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

impl Pax {
    fn parse(mut content: &[u8]) -> Option<Self> {
        let mut pax = Self::default();
        while !content.is_empty() {
            let space = content.iter().position(|byte| *byte == b' ')?;
            let length: usize = decimal(content.get(..space)?)?.try_into().ok()?;
            let (record, rest) = content.split_at_checked(length)?;
            content = rest;
            let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
            match key {
                b"path" | b"GNU.sparse.name" => pax.path = Some(value.to_vec()),
                b"linkpath" => pax.link = Some(value.to_vec()),
                b"size" => pax.stored_bytes = Some(decimal(value)?),
                _other => {}
            }
            pax.sparse |= key.starts_with(b"GNU.sparse.");
        }
        Some(pax)
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
