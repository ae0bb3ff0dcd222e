//! UTF-8 as the arrays of characters that Python's `str` consists of: one, two or four bytes each, the
//! fewest that its widest character needs (PEP 393).

/// UTF-8 that was checked, and what a `str` of it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'a> {
    /// Characters are bytes.
    Ascii(&'a [u8]),
    /// At least one character is not ASCII.
    Wide {
        /// The text.
        text: &'a str,
        /// Its characters.
        chars: usize,
        /// Bytes of each.
        width: Width,
    },
}

/// Bytes of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One: all are below U+0100.
    One,
    /// Two: all are below U+10000.
    Two,
    /// Four.
    Four,
}

impl Width {
    /// The number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// Lead bytes from these on are of characters from U+0100, and from U+10000, on.
const LEAD_OF_TWO: u8 = 0xc4;
const LEAD_OF_FOUR: u8 = 0xf0;

impl<'a> Text<'a> {
    /// `None` where `utf8` is none.
    #[must_use]
    pub fn of(utf8: &'a [u8]) -> Option<Self> {
        if utf8.is_ascii() {
            return Some(Self::Ascii(utf8));
        }
        let text = std::str::from_utf8(utf8).ok()?;
        // Lead bytes are above all others, and grow with their characters.
        let width = match utf8.iter().copied().max() {
            Some(LEAD_OF_FOUR..) => Width::Four,
            Some(LEAD_OF_TWO..) => Width::Two,
            _ => Width::One,
        };
        let chars = text.chars().count();
        Some(Self::Wide { text, chars, width })
    }

    /// Characters.
    #[must_use]
    pub fn chars(&self) -> usize {
        match self {
            Self::Ascii(bytes) => bytes.len(),
            Self::Wide { chars, .. } => *chars,
        }
    }

    /// Bytes as UTF-8.
    #[must_use]
    pub fn utf8(&self) -> &'a [u8] {
        match self {
            Self::Ascii(bytes) => bytes,
            Self::Wide { text, .. } => text.as_bytes(),
        }
    }
}

/// So many bytes are looked at together, and mostly are ASCII together.
const CHUNK: usize = 16;

/// Writes the characters of `text` into `out`, each as `unit` has it, as far as there is room.
pub fn write_chars<T>(text: &str, out: &mut [T], unit: impl Fn(char) -> T) {
    let (mut text, mut out) = (text, out);
    loop {
        while let Some((chunk, _)) = text.as_bytes().split_first_chunk::<CHUNK>()
            && chunk.is_ascii()
            && out.len() >= CHUNK
        {
            let (slots, rest) = out.split_at_mut(CHUNK);
            for (slot, byte) in slots.iter_mut().zip(chunk) {
                *slot = unit(char::from(*byte));
            }
            (text, out) = (&text[CHUNK..], rest);
        }
        let mut chars = text.chars();
        let mut written = 0;
        for slot in out.iter_mut().take(CHUNK) {
            let Some(char) = chars.next() else { break };
            *slot = unit(char);
            written += 1;
        }
        if written == 0 {
            return;
        }
        (text, out) = (chars.as_str(), &mut out[written..]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The characters of a text, as wide as they were found to be.
    fn written(text: &Text<'_>) -> Vec<u32> {
        fn all<T: Copy + Into<u32>>(
            text: &str,
            chars: usize,
            unit: impl Fn(char) -> T,
        ) -> Vec<u32> {
            // One more than needed, which must stay as it is.
            let mut out = vec![unit('!'); chars + 1];
            write_chars(text, &mut out[..chars], unit);
            let mut out: Vec<u32> = out.into_iter().map(Into::into).collect();
            assert_eq!(out.pop(), Some(u32::from('!')));
            out
        }
        match *text {
            Text::Ascii(bytes) => bytes.iter().map(|byte| u32::from(*byte)).collect(),
            Text::Wide { text, chars, width } => match width {
                Width::One => all(text, chars, |char| u32::from(char) as u8),
                Width::Two => all(text, chars, |char| u32::from(char) as u16),
                Width::Four => all(text, chars, u32::from),
            },
        }
    }

    fn check(text: &str) {
        let found = Text::of(text.as_bytes()).unwrap();
        let expected: Vec<u32> = text.chars().map(u32::from).collect();
        assert_eq!(found.chars(), expected.len());
        assert_eq!(found.utf8(), text.as_bytes());
        assert_eq!(written(&found), expected);
        let widest = expected.iter().copied().max().unwrap_or(0);
        let width = match found {
            Text::Ascii(_) => None,
            Text::Wide { width, .. } => Some(width),
        };
        let expected = match widest {
            0..0x80 => None,
            0x80..0x100 => Some(Width::One),
            0x100..0x1_0000 => Some(Width::Two),
            _ => Some(Width::Four),
        };
        assert_eq!(width, expected, "widest {widest:#x}");
    }

    #[test]
    fn characters_at_the_borders_of_their_widths() {
        for char in [
            '\0',
            '\u{7f}',
            '\u{80}',
            '\u{bf}',
            '\u{c0}',
            '\u{ff}',
            '\u{100}',
            '\u{7ff}',
            '\u{800}',
            '\u{d7ff}',
            '\u{e000}',
            '\u{ffff}',
            '\u{10000}',
            '\u{10ffff}',
        ] {
            for ascii in [0, 1, 15, 16, 17, 40] {
                let text = "a".repeat(ascii);
                check(&format!("{text}{char}{text}"));
            }
        }
        check("");
    }

    #[test]
    fn what_is_no_utf8_is_no_text() {
        for bytes in [
            &b"\x80"[..],
            b"\xc3",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"0123456789abcdef\xff",
        ] {
            assert_eq!(Text::of(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn texts_of_any_kind(text in "(\\PC|[a-z]{0,40}|[\u{e0}-\u{ff}]|\u{4e2d}){0,60}") {
            check(&text);
        }
    }
}
