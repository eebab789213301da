//! Builds valid and invalid tars, and splits genuine ones into entries.

use tar::Header;

/// A tar under construction.
#[derive(Default)]
pub(super) struct Tar {
    pub bytes: Vec<u8>,
}

pub(super) fn header(kind: u8, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkflag = [kind];
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header
}

impl Tar {
    pub fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(b'0', name, data)
    }

    pub fn entry(self, kind: u8, name: &str, data: &[u8]) -> Self {
        self.with(header(kind, name.as_bytes(), data.len() as u64), data)
    }

    pub fn with(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.raw(data)
    }

    /// Data, padded to a block.
    pub fn raw(mut self, data: &[u8]) -> Self {
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    pub fn link(self, kind: u8, name: &str, target: &str) -> Self {
        let mut header = header(kind, name.as_bytes(), 0);
        header.set_link_name_literal(target).unwrap();
        self.with(header, b"")
    }

    /// A sparse file with up to four parts in its header and the rest in blocks that follow.
    pub fn sparse(mut self, name: &str, parts: &[(u64, u64)], real: u64, data: &[u8]) -> Self {
        let mut header = header(b'S', name.as_bytes(), data.len() as u64);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.set_real_size(real);
        let (first, rest) = parts.split_at(parts.len().min(4));
        for (slot, (offset, length)) in gnu.sparse.iter_mut().zip(first) {
            slot.set_offset(*offset);
            slot.set_length(*length);
        }
        gnu.set_is_extended(!rest.is_empty());
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        let mut blocks = rest.chunks(21).peekable();
        while let Some(block) = blocks.next() {
            let mut extended = tar::GnuExtSparseHeader::new();
            for (slot, (offset, length)) in extended.sparse_mut().iter_mut().zip(block) {
                slot.set_offset(*offset);
                slot.set_length(*length);
            }
            extended.set_is_extended(blocks.peek().is_some());
            self.bytes.extend_from_slice(extended.as_bytes());
        }
        self.raw(data)
    }

    pub fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }
}

/// A PAX record.
pub(super) fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length = (1..).find(|length| format!("{length}{rest}").len() == *length).unwrap();
    format!("{length}{rest}")
}

pub(super) const CONFIG: &[u8] = br#"{"params":{"shard_number":1,"vectors":{"size":4,"distance":"Dot"}}}"#;
pub(super) const LOCAL: &[u8] = br#"{"is_local":true,"this_peer_id":7,"peers":{"7":"Active"}}"#;

/// A valid segment archive.
pub(super) fn segment() -> Tar {
    Tar::default()
        .sparse("snapshot/files/vectors/chunk_0.mmap", &[(0, 512), (4096, 0)], 4096, &[1; 512])
        .file("snapshot/files/segment.json", br#"{"version":3}"#)
        .file("snapshot/files/version.info", b"0.6.0")
}

/// The members of a valid collection snapshot, for a test to change.
pub(super) fn members() -> Vec<(String, Vec<u8>)> {
    [
        ("0/segments/11111111-2222-3333-4444-555555555555.tar", segment().bytes.as_slice()),
        ("0/wal/open-1", b"wal"),
        ("0/replica_state.json", LOCAL),
        ("0/shard_config.json", br#"{"type":"ReplicaSet"}"#),
        ("version.info", b"0.4.2"),
        ("config.json", CONFIG),
        ("shard_key_mapping.json", b"[]"),
        ("payload_index.json", br#"{"schema":{}}"#),
    ]
    .map(|(name, data)| (name.to_owned(), data.to_vec()))
    .to_vec()
}

pub(super) fn tar_of(members: &[(String, Vec<u8>)]) -> Tar {
    members.iter().fold(Tar::default(), |tar, (name, data)| tar.file(name, data))
}

/// A valid snapshot with one member's content replaced.
pub(super) fn with_member(name: &str, data: &[u8]) -> Vec<u8> {
    let mut members = members();
    members
        .iter_mut()
        .filter(|(member, _)| member.starts_with(name))
        .for_each(|(_, old)| *old = data.to_vec());
    tar_of(&members).end()
}

/// A valid snapshot followed by more entries.
pub(super) fn and_then(more: impl FnOnce(Tar) -> Tar) -> Vec<u8> {
    more(tar_of(&members())).end()
}

/// An entry of a genuine archive.
#[derive(Clone)]
pub(super) struct Raw {
    /// The position of its header.
    pub offset: usize,
    pub header: Header,
    pub data: Vec<u8>,
}

impl Raw {
    pub fn name(&self) -> String {
        String::from_utf8(self.header.path_bytes().into_owned()).unwrap()
    }
}

/// The entries of an archive without extended sparse maps.
pub(super) fn dissect(bytes: &[u8]) -> Vec<Raw> {
    let mut entries = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() && bytes[offset] != 0 {
        let header = Header::from_byte_slice(&bytes[offset..offset + 512]).clone();
        let size = usize::try_from(header.entry_size().unwrap()).unwrap();
        let data = bytes[offset + 512..offset + 512 + size].to_vec();
        entries.push(Raw { offset, header, data });
        offset += 512 + size.next_multiple_of(512);
    }
    entries
}

/// Joins entries, with corrected sizes and checksums.
pub(super) fn assemble(entries: &[Raw]) -> Tar {
    entries.iter().fold(Tar::default(), |tar, entry| {
        let mut header = entry.header.clone();
        header.set_size(entry.data.len() as u64);
        tar.with(header, &entry.data)
    })
}
