//! What the system says of this process: the metrics `process_*`.

/// The figures of one process. Each is absent where the system does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessInfo {
    /// Processor time used, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// The most that may be open.
    pub max_fds: Option<u64>,
    /// Memory in use, in bytes.
    pub resident_memory_bytes: Option<u64>,
    /// Address space in use, in bytes.
    pub virtual_memory_bytes: Option<u64>,
    /// When it was started, as a Unix time.
    pub start_time_seconds: Option<f64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl ProcessInfo {
    /// This process, now.
    pub fn read() -> Self {
        Self::default()
    }
}
