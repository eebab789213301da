//! Pseudo-random changes to inputs, the same in every run.

/// Maximum length of a changed input.
const LONGEST: usize = 64 << 10;
/// Values that often break parsers.
const PIECES: [&[u8]; 18] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"'",
    b"\\",
    b"{",
    b"[",
    b"]}",
    b": ",
    b"../",
    b"%2e",
    b"\xff\xfe",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"9999-12-31-23-59-59",
    "\u{202e}\u{2028}".as_bytes(),
];
const BYTES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];

/// Changes inputs pseudo-randomly.
pub struct Changer {
    /// The state of an xorshift generator (Marsaglia, 64 bits).
    state: u64,
}

impl Default for Changer {
    fn default() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15 }
    }
}

impl Changer {
    /// A copy of one of `inputs` with a few changes, some of which insert parts of another input.
    pub fn change(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut input = inputs[self.below(inputs.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            let to = at + self.below((input.len() - at).min(64) + 1);
            match self.below(7) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => input[at] = BYTES[self.below(BYTES.len())],
                2 => drop(input.drain(at..to)),
                3 => input.truncate(at),
                4 => {
                    let copied = input[at..to].to_vec();
                    input.splice(at..at, copied);
                }
                5 => {
                    let other = &inputs[self.below(inputs.len())];
                    let from = self.below(other.len() + 1);
                    let piece = &other[from..from + self.below((other.len() - from).min(512) + 1)];
                    input.splice(at..to, piece.iter().copied());
                }
                _ => drop(input.splice(at..to, PIECES[self.below(PIECES.len())].iter().copied())),
            }
        }
        input.truncate(LONGEST);
        input
    }

    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % end as u64).unwrap()
    }
}
