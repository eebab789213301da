//! A small rewriter of snapshots: splits a tar into entries and joins them again, with corrected sizes and checksums.

use tar::Header;

/// An entry of a snapshot without extended sparse maps, as raw bytes.
#[derive(Clone)]
pub struct Entry {
    pub header: Header,
    pub data: Vec<u8>,
}

impl Entry {
    pub fn new(kind: u8, name: &str, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkflag = [kind];
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        Self { header, data: data.to_vec() }
    }

    pub fn name(&self) -> String {
        String::from_utf8(self.header.path_bytes().into_owned()).unwrap()
    }

    pub fn rename(&mut self, name: &str) {
        let field = &mut self.header.as_old_mut().name;
        field.fill(0);
        field[..name.len()].copy_from_slice(name.as_bytes());
    }
}

pub fn take_apart(tar: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut offset = 0;
    while offset < tar.len() && tar[offset] != 0 {
        let header = Header::from_byte_slice(&tar[offset..offset + 512]).clone();
        let size = usize::try_from(header.entry_size().unwrap()).unwrap();
        let data = tar[offset + 512..offset + 512 + size].to_vec();
        offset += 512 + size.next_multiple_of(512);
        entries.push(Entry { header, data });
    }
    entries
}

/// Without an end marker, like Qdrant's segment archives.
pub fn put_together(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        let mut header = entry.header.clone();
        header.set_size(entry.data.len() as u64);
        append(&mut tar, header, &entry.data);
    }
    tar
}

/// Like [`put_together`], with an end marker.
pub fn whole(entries: &[Entry]) -> Vec<u8> {
    let mut tar = put_together(entries);
    tar.extend_from_slice(&[0; 1024]);
    tar
}

/// Appends an entry with this header unchanged, except for the checksum.
pub fn append(tar: &mut Vec<u8>, mut header: Header, data: &[u8]) {
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}
