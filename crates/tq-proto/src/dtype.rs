//! Element types of tensors.
//!
//! The codes are part of the packed-buffer format (see `tq-codec`): a code is never reused and
//! never changes its meaning.

use std::fmt;

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $size:literal;)*) => {
        /// Element type of a tensor. Names are torch's, without the `torch.` prefix.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum DType {
            $($(#[$doc])* $variant = $code,)*
        }

        impl DType {
            /// Every dtype, in the order of their codes.
            pub const ALL: &'static [DType] = &[$(DType::$variant,)*];

            /// The dtype of a wire code, or `None` for a code this version does not know.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(DType::$variant),)*
                    _ => None,
                }
            }

            /// Bytes of one element.
            #[must_use]
            pub const fn item_size(self) -> usize {
                match self {
                    $(DType::$variant => $size,)*
                }
            }

            /// torch's name, such as `float32`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(DType::$variant => $name,)*
                }
            }
        }
    };
}

dtypes! {
    /// One byte per element, 0 or 1.
    Bool = 1, "bool", 1;
    /// Unsigned, 8 bits.
    UInt8 = 2, "uint8", 1;
    /// Signed, 8 bits.
    Int8 = 3, "int8", 1;
    /// Unsigned, 16 bits.
    UInt16 = 4, "uint16", 2;
    /// Signed, 16 bits.
    Int16 = 5, "int16", 2;
    /// Unsigned, 32 bits.
    UInt32 = 6, "uint32", 4;
    /// Signed, 32 bits.
    Int32 = 7, "int32", 4;
    /// Unsigned, 64 bits.
    UInt64 = 8, "uint64", 8;
    /// Signed, 64 bits.
    Int64 = 9, "int64", 8;
    /// IEEE 754 half.
    Float16 = 10, "float16", 2;
    /// Brain float.
    BFloat16 = 11, "bfloat16", 2;
    /// IEEE 754 single.
    Float32 = 12, "float32", 4;
    /// IEEE 754 double.
    Float64 = 13, "float64", 8;
    /// Pair of halves.
    Complex32 = 14, "complex32", 4;
    /// Pair of singles.
    Complex64 = 15, "complex64", 8;
    /// Pair of doubles.
    Complex128 = 16, "complex128", 16;
    /// 8-bit float, 4 exponent bits, finite.
    Float8E4M3FN = 17, "float8_e4m3fn", 1;
    /// 8-bit float, 4 exponent bits, finite, no negative zero.
    Float8E4M3FNUZ = 18, "float8_e4m3fnuz", 1;
    /// 8-bit float, 5 exponent bits.
    Float8E5M2 = 19, "float8_e5m2", 1;
    /// 8-bit float, 5 exponent bits, finite, no negative zero.
    Float8E5M2FNUZ = 20, "float8_e5m2fnuz", 1;
    /// 8-bit power-of-two scale.
    Float8E8M0FNU = 21, "float8_e8m0fnu", 1;
    /// Two 4-bit floats in a byte.
    Float4E2M1FNX2 = 22, "float4_e2m1fn_x2", 1;
}

impl DType {
    /// The wire code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Bytes of a dense tensor of `shape`; `None` where that exceeds 64 bits.
    #[must_use]
    pub fn byte_len(self, shape: &[u64]) -> Option<u64> {
        // A zero anywhere makes the tensor empty, whatever the other dimensions would overflow to.
        if shape.contains(&0) {
            return Some(0);
        }
        shape
            .iter()
            .try_fold(self.item_size() as u64, |bytes, dim| {
                bytes.checked_mul(*dim)
            })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_read_back() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_code(dtype.code()), Some(*dtype));
        }
        assert_eq!(DType::from_code(0), None);
        assert_eq!(DType::from_code(255), None);
    }

    #[test]
    fn byte_len_counts_elements_and_refuses_overflow() {
        assert_eq!(DType::Float32.byte_len(&[]), Some(4));
        assert_eq!(DType::Float32.byte_len(&[2, 3]), Some(24));
        assert_eq!(DType::Float32.byte_len(&[u64::MAX, 0]), Some(0));
        assert_eq!(DType::Float32.byte_len(&[u64::MAX]), None);
    }
}
