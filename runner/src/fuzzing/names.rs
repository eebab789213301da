//! Fuzz targets for names from other systems.

use qdrant_backup_shared::fuzzing::{assert_line, halves, text};

use crate::qdrant::fuzzing::server_name as name_of_server;
use crate::store::import;

/// A name from a server and, after a zero byte, the name of a file to import.
pub fn server_name(data: &[u8]) {
    let (name, file_name) = halves(data);
    name_of_server(name);
    let file_name = text(file_name);
    match import::name::read(&file_name, None, |_| false) {
        Ok(named) => {
            assert!(named.stamped_at.is_some());
            let given = import::name::read(&file_name, Some(&named.collection), |_| false);
            assert_eq!(given.map(|given| given.stamped_at).ok(), Some(named.stamped_at));
        }
        Err(error) => assert_line(&error.to_string()),
    }
}
