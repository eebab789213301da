#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| qdrant_backup_exporter::fuzzing::web_configuration(data));
