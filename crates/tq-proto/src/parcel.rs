//! Parcels: the rows of one put that lie together in objects of a storage backend.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// What is known of a parcel: which objects it consists of, and what their bytes must be.
///
/// Laid end to end, the objects are the parcel's bytes; rows are named by their place in these. The
/// bytes of each object are checksummed in blocks, which start anew with each object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parcel {
    /// Object number `i` has the key `<key>:<i>` in the backend.
    pub key: Arc<str>,
    /// Bytes of each object; none is empty.
    pub objects: Vec<u64>,
    /// Bytes under one checksum; the last block of an object may be shorter.
    pub block: u64,
    /// XXH3-64 of each block, in order.
    pub checksums: Vec<u64>,
}

impl Parcel {
    /// Bytes of all objects.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects
            .iter()
            .fold(0, |sum, len| sum.saturating_add(*len))
    }

    /// The key of an object.
    #[must_use]
    pub fn object_key(&self, number: usize) -> String {
        format!("{}:{number}", self.key)
    }

    /// Whether it can be: bounds everything that later sizes or divides by what it says.
    ///
    /// # Errors
    /// `InvalidArgument` for empty objects, blocks of no bytes, more than 64 bits of bytes, or
    /// another number of checksums than of blocks.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String| {
            let error = Error::new(ErrorKind::InvalidArgument, what);
            Err(error.with("parcel", &self.key))
        };
        if self.objects.contains(&0) || (self.block == 0 && !self.objects.is_empty()) {
            return refuse("a parcel has an object or a block of no bytes".to_owned());
        }
        let sum = |sum: u64, len: &u64| sum.checked_add(*len);
        if self.objects.iter().try_fold(0, sum).is_none() {
            return refuse("the objects of a parcel exceed 64 bits".to_owned());
        }
        let blocks: u64 = self
            .objects
            .iter()
            .map(|len| len.div_ceil(self.block))
            .fold(0, u64::saturating_add);
        if blocks != self.checksums.len() as u64 {
            return refuse(format!(
                "a parcel of {blocks} blocks has {} checksums; give one per block",
                self.checksums.len()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parcel(objects: &[u64], block: u64, checksums: usize) -> Parcel {
        Parcel {
            key: "k".into(),
            objects: objects.to_vec(),
            block,
            checksums: vec![0; checksums],
        }
    }

    #[test]
    fn blocks_start_anew_with_each_object() {
        parcel(&[10, 10], 8, 4).check().unwrap();
        parcel(&[], 0, 0).check().unwrap();
        assert_eq!(parcel(&[10, 10], 8, 4).object_key(1), "k:1");
        assert_eq!(parcel(&[10, 10], 8, 4).bytes(), 20);
    }

    #[test]
    fn each_lie_is_refused() {
        for lie in [
            parcel(&[10, 0], 8, 2),
            parcel(&[10], 0, 0),
            parcel(&[10], 8, 1),
            parcel(&[u64::MAX, 1], 1 << 40, 0),
        ] {
            let error = lie.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{lie:?}");
        }
    }
}
