//! Sizes and times as they are written.

use std::fmt;

/// What a suffix of a size multiplies by.
const SUFFIXES: [(char, u64); 4] = [
    ('K', 1 << 10),
    ('M', 1 << 20),
    ('G', 1 << 30),
    ('T', 1 << 40),
];

/// A size of memory.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Size {
    /// So many bytes.
    Bytes(u64),
    /// So much of the memory that this process may use, from 0 to 1.
    Share(f64),
}

/// A size in bytes, with a suffix K, M, G or T (powers of 1,024), also KiB, MiB, ..., or in percent.
pub(crate) fn size(text: &str) -> Result<Size, String> {
    let Some(percent) = text.trim().strip_suffix('%') else {
        return bytes(text).map(Size::Bytes);
    };
    match percent.trim_end().parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Size::Share(percent / 100.0)),
        _ => Err("a share must be more than 0 % and at most 100 %".to_owned()),
    }
}

/// A size in bytes, with a suffix K, M, G or T (powers of 1,024), also KiB, MiB, ...
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim().to_ascii_uppercase();
    let number = text.strip_suffix("IB").unwrap_or(&text);
    let found = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((number.strip_suffix(*suffix)?, *factor)));
    let (number, factor) = match found {
        Some(found) => found,
        // "5IB" is no size.
        None => (text.as_str(), 1),
    };
    let wrong = || "give bytes, such as 1073741824, 512M, 64G or 1T".to_owned();
    let number = number.trim_end();
    if let Ok(whole) = number.parse::<u64>() {
        let too_large = || "more bytes than there are numbers for".to_owned();
        return whole.checked_mul(factor).ok_or_else(too_large);
    }
    match number.parse::<f64>() {
        // Below 2^53 bytes nothing is lost; nobody says more with a fraction.
        Ok(part) if part >= 0.0 && factor > 1 && part * (factor as f64) < 9e15 => {
            Ok((part * factor as f64) as u64)
        }
        _ => Err(wrong()),
    }
}

/// A size in bytes, more than 0.
pub(crate) fn positive_bytes(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        0 => Err("must be more than 0".to_owned()),
        bytes => Ok(bytes),
    }
}

/// The longest time that is taken for one: about 30 years.
const MOST_SECONDS: f64 = 1e9;

/// Seconds, 0 or more.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(seconds) if (0.0..=MOST_SECONDS).contains(&seconds) => Ok(seconds),
        _ => Err(format!("give seconds, from 0 to {MOST_SECONDS}")),
    }
}

/// Seconds, more than 0.
pub(crate) fn positive_seconds(text: &str) -> Result<f64, String> {
    match seconds(text)? {
        seconds if seconds >= 1e-3 => Ok(seconds),
        _ => Err("give seconds, at least 0.001".to_owned()),
    }
}

/// Bytes as people read them.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffixes = SUFFIXES.iter().rev();
        match suffixes.into_iter().find(|(_, factor)| self.0 >= *factor) {
            Some((suffix, factor)) => {
                write!(f, "{:.1} {suffix}iB", self.0 as f64 / *factor as f64)
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

/// Seconds as people read them.
pub(crate) struct Seconds(pub(crate) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours) = (self.0 / 86_400, self.0 / 3_600 % 24);
        let (minutes, seconds) = (self.0 / 60 % 60, self.0 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds} s"),
            (0, 0, _) => write!(f, "{minutes} min {seconds} s"),
            (0, _, _) => write!(f, "{hours} h {minutes} min"),
            _ => write!(f, "{days} d {hours} h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, wanted) in [
            ("0", 0),
            ("4096", 4096),
            ("64K", 64 << 10),
            ("2 m", 2 << 20),
            ("1.5G", 3 << 29),
            ("1GiB", 1 << 30),
            ("16777215T", 16_777_215 << 40),
        ] {
            assert_eq!(bytes(text), Ok(wanted), "{text}");
        }
        assert_eq!(size("50%"), Ok(Size::Share(0.5)));
        assert_eq!(size("12.5 %"), Ok(Size::Share(0.125)));
        assert_eq!(size("1G"), Ok(Size::Bytes(1 << 30)));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "G",
            "-1",
            "-1G",
            "1.5",
            "1GB",
            "5iB",
            "0x10",
            "nan",
            "nanG",
            "inf",
            "infT",
            "16777216T",
            "18446744073709551616",
            "1e9T",
            "K%",
            "0%",
            "-1%",
            "101%",
            "nan%",
            "1G%",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(positive_bytes("0K").is_err());
    }

    #[test]
    fn seconds_are_finite_and_not_negative() {
        assert_eq!(seconds("0"), Ok(0.0));
        assert_eq!(seconds(" 1.5 "), Ok(1.5));
        for text in ["-1", "nan", "inf", "1e300", "5s", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert!(positive_seconds("0").is_err());
    }

    #[test]
    fn quantities_are_shown_in_the_largest_unit_that_fits() {
        assert_eq!(Bytes(1023).to_string(), "1023 B");
        assert_eq!(Bytes(3 << 29).to_string(), "1.5 GiB");
        assert_eq!(Seconds(59).to_string(), "59 s");
        assert_eq!(Seconds(3_725).to_string(), "1 h 2 min");
        assert_eq!(Seconds(90_000).to_string(), "1 d 1 h");
    }
}
