//! Random numbers that can be repeated with a seed.

/// A random number generator.
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    pub fn of(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A random number less than `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    /// A random item.
    ///
    /// # Panics
    /// When there are no items.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len() as u64);
        &from[usize::try_from(at).expect("a place")]
    }
}

/// `QDRANT_BACKUP_TEST_SEED`, or a random seed. It is printed.
pub fn seed() -> u64 {
    let given = std::env::var("QDRANT_BACKUP_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| {
        let bytes = std::fs::read("/proc/sys/kernel/random/uuid").expect("the kernel's random numbers");
        bytes.iter().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(*byte)))
    });
    println!("QDRANT_BACKUP_TEST_SEED={seed}");
    seed.max(1)
}
