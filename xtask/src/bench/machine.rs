//! The machine of the measurements, without its name.

use std::path::Path;

use crate::sh::{Cmd, Context, Result};

/// A description in one line.
pub(super) fn describe(directory: &Path) -> Result<String> {
    let read = |path: &str| std::fs::read_to_string(path).context(path);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease")?;
    // A kernel's full name may contain its builder, so only the version is used.
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    let file_system = Cmd::new("stat").args(["--file-system", "--format", "%T"]).arg(directory).read()?;
    Ok(format!(
        "{}, {cores} cores, {} GiB of memory, Linux {kernel}, {} on a local disk",
        cpu(&read("/proc/cpuinfo")?),
        memory_gib(&read("/proc/meminfo")?),
        file_system.trim(),
    ))
}

/// The load average over the last minute.
pub(super) fn load() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
    let first = text.split_whitespace().next().unwrap_or_default();
    first.parse().context(format!("/proc/loadavg says {first:?}"))
}

/// The CPU model, and whether it has SHA instructions.
fn cpu(cpuinfo: &str) -> String {
    let value = |key: &str| {
        let of = |line: &str| Some(line.split_once(':')?.1.trim().to_owned());
        cpuinfo
            .lines()
            .find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))
            .and_then(of)
    };
    let model = value("model name").unwrap_or_else(|| "an unnamed processor".to_owned());
    let flags = value("flags").or_else(|| value("Features")).unwrap_or_default();
    let hashes = flags.split(' ').any(|flag| flag == "sha_ni" || flag == "sha2");
    format!("{model} ({} instructions for SHA-256)", if hashes { "with" } else { "without" })
}

fn memory_gib(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    (kibibytes.unwrap_or(0) + (1 << 19)) >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_and_what_it_can_do_are_named() {
        let cpuinfo =
            "processor\t: 0\nmodel\t\t: 1\nmodel name\t: Some CPU 9\nflags\t\t: fpu sha_ni avx2\n\n";
        assert_eq!(cpu(cpuinfo), "Some CPU 9 (with instructions for SHA-256)");
        assert_eq!(cpu(&cpuinfo.replace(" sha_ni", "")), "Some CPU 9 (without instructions for SHA-256)");
        assert_eq!(cpu(""), "an unnamed processor (without instructions for SHA-256)");
    }

    #[test]
    fn memory_is_rounded_to_gibibytes() {
        assert_eq!(memory_gib("MemTotal:       24606952 kB\nMemFree: 1 kB\n"), 23);
        assert_eq!(memory_gib("MemTotal:       16777216 kB\n"), 16);
    }
}
