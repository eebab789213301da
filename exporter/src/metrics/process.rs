//! Information about this process, mostly from the system, in the metrics `process_*` with the names of Prometheus'
//! own client libraries.

use std::fs;

/// The values of one process. Each is absent if the system does not report it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessInfo {
    /// Processor time used, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Maximum number of open file descriptors.
    pub max_fds: Option<u64>,
    /// Memory in use, in bytes.
    pub resident_memory_bytes: Option<u64>,
    /// Address space in use, in bytes.
    pub virtual_memory_bytes: Option<u64>,
    /// Start time as a Unix time.
    pub start_time_seconds: Option<f64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Whether the active web configuration matches its files. Known only to the web server, if there is a file.
    pub web_config: Option<bool>,
}

impl ProcessInfo {
    /// The current values of this process.
    pub fn read() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut info = parse(&read("/proc/self/stat"), &read("/proc/stat"));
        info.open_fds = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
        info.max_fds = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        info
    }
}

/// Parses `/proc/self/stat` and `/proc/stat`; see proc(5).
fn parse(process: &str, system: &str) -> ProcessInfo {
    // The second field is the program's name in parentheses, which may contain any characters. The third field
    // follows it.
    let after_name = process.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    let booted = system.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<u64>().ok());
    ProcessInfo {
        cpu_seconds: field(14).zip(field(15)).map(|(user, kernel)| seconds(user + kernel)),
        resident_memory_bytes: field(24).map(|pages| pages * rustix::param::page_size() as u64),
        virtual_memory_bytes: field(23),
        start_time_seconds: booted.zip(field(22)).map(|(booted, ticks)| booted as f64 + seconds(ticks)),
        threads: field(20),
        ..ProcessInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_behind_a_hostile_program_name_or_absent() {
        let stat = "7 (a) 1 (b c) S 1 7 7 0 -1 4194560 300 0 0 0 150 50 0 0 20 0 4 0 1000 9000000 500 1";
        let info = parse(stat, "cpu 1 2\nbtime 1752589800\n");
        assert_eq!(info.cpu_seconds, Some(2.0));
        assert_eq!(info.threads, Some(4));
        assert_eq!(info.virtual_memory_bytes, Some(9_000_000));
        assert_eq!(info.resident_memory_bytes, Some(500 * rustix::param::page_size() as u64));
        assert_eq!(info.start_time_seconds, Some(1_752_589_810.0));
        assert_eq!(parse("", ""), ProcessInfo::default(), "what cannot be read is absent");
    }
}
