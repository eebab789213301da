//! `offsite`: the offsite places.

#![expect(missing_docs, reason = "it says itself what it means")]

use super::super::knob::{Declared, Knob};
use super::super::offsite::{self, OffsitePlace};

pub(super) static PLACES: &[&dyn Declared] = &[&OFFSITE];

pub static OFFSITE: Knob<Vec<OffsitePlace>> = Knob::new("offsite", offsite::PLACES)
    .example(
        r#"
  - name: s3
    repository: s3:https://s3.example.org/qdrant-backups
    password_file: /etc/qdrant-backup/restic-password
    environment_file: /etc/qdrant-backup/s3.env
    retention:
      keep_daily: 30
      keep_monthly: 12
    append_only: false
    limit_upload: 20MiB
    check: 30d
    prune_schedule: "0 5 * * 0"
    restic: restic
    extra_options: ["-o", "s3.storage-class=STANDARD_IA"]
  - name: nas
    repository: /mnt/nas/restic
    password_file: /etc/qdrant-backup/restic-password"#,
    )
    .meaning("Places for encrypted, deduplicated copies of every backup, made with `restic`; a list of mappings, see [offsite.md](offsite.md#keys).");
