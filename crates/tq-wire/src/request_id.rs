//! Numbers of requests that change something, so that one which is made again is carried out once.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// The header that carries it.
const HEADER: &str = "tq-request";

/// Which request of which guest, and which of its requests are settled.
///
/// ```text
/// tq-request: <guest>.<number>.<settled>      in hexadecimal
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestId {
    /// The guest, by a number drawn at random.
    pub guest: u64,
    /// Ascending for each guest.
    pub number: u64,
    /// All requests below this number were answered, and the guest knows.
    pub settled: u64,
}

impl RequestId {
    /// Writes it into the headers of a call.
    pub fn write(&self, headers: &mut MetadataMap) {
        let text = format!("{:x}.{:x}.{:x}", self.guest, self.number, self.settled);
        if let Ok(value) = MetadataValue::<Ascii>::try_from(text) {
            headers.insert(HEADER, value);
        }
    }

    /// That of a call; `None` where it has none, and so may be carried out each time it is made.
    #[must_use]
    pub fn read(headers: &MetadataMap) -> Option<Self> {
        let text = headers.get(HEADER)?.to_str().ok()?;
        let mut numbers = text
            .split('.')
            .map(|part| u64::from_str_radix(part, 16).ok());
        let id = Self {
            guest: numbers.next()??,
            number: numbers.next()??,
            settled: numbers.next()??,
        };
        (numbers.next().is_none() && id.settled <= id.number).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written_and_lies_are_none() {
        let id = RequestId {
            guest: u64::MAX,
            number: 17,
            settled: 16,
        };
        let mut headers = MetadataMap::new();
        assert_eq!(RequestId::read(&headers), None);
        id.write(&mut headers);
        assert_eq!(RequestId::read(&headers), Some(id));
        for lie in [
            "",
            "1.2",
            "1.2.3.4",
            "x.1.1",
            "1.2.3",
            "1..1",
            "11111111111111111.2.1",
        ] {
            headers.insert(HEADER, lie.parse().unwrap());
            assert_eq!(RequestId::read(&headers), None, "{lie}");
        }
    }
}
