//! Equality and order of tag values, as Python has them.

use std::cmp::Ordering;

use crate::tags::TagValue;

/// 2^63, the first float beyond the integers that fit.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

/// What makes two tag values equal: same `Equality`, same value. Can be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Equality<'a> {
    Null,
    /// Booleans, and floats that are whole numbers, as well.
    Int(i64),
    /// Bits of a float that no `Int` is equal to.
    Float(u64),
    Str(&'a str),
    Opaque(&'a [u8]),
}

impl<'a> Equality<'a> {
    /// None for a NaN, which is equal to nothing.
    pub(crate) fn of(value: &'a TagValue) -> Option<Self> {
        Some(match value {
            TagValue::Null => Self::Null,
            TagValue::Bool(value) => Self::Int(i64::from(*value)),
            TagValue::Int(value) => Self::Int(*value),
            TagValue::Float(value) if value.is_nan() => return None,
            TagValue::Float(value) => match whole(*value) {
                Some(value) => Self::Int(value),
                None => Self::Float(value.to_bits()),
            },
            TagValue::Str(value) => Self::Str(value),
            TagValue::Opaque(bytes) => Self::Opaque(bytes),
        })
    }
}

/// The integer of 64 bits that `value` is equal to.
fn whole(value: f64) -> Option<i64> {
    // Within these bounds the conversion is exact.
    #[allow(clippy::cast_possible_truncation)]
    (value == value.trunc() && (-BEYOND..BEYOND).contains(&value)).then_some(value as i64)
}

/// A value that has an order. The order is total: all numbers come before all text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ordered<'a> {
    Int(i64),
    /// Never a NaN.
    Float(f64),
    Str(&'a str),
}

impl<'a> Ordered<'a> {
    /// None for what has no order: `None`, a NaN and anything that is neither number nor text.
    pub(crate) fn of(value: &'a TagValue) -> Option<Self> {
        match value {
            TagValue::Bool(value) => Some(Self::Int(i64::from(*value))),
            TagValue::Int(value) => Some(Self::Int(*value)),
            TagValue::Float(value) => (!value.is_nan()).then_some(Self::Float(*value)),
            TagValue::Str(value) => Some(Self::Str(value)),
            TagValue::Null | TagValue::Opaque(_) => None,
        }
    }

    /// The order of two numbers or of two texts.
    pub(crate) fn among_like(self, other: Self) -> Option<Ordering> {
        let alike = matches!(self, Self::Str(_)) == matches!(other, Self::Str(_));
        alike.then(|| self.total(other))
    }

    pub(crate) fn total(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Int(a), Self::Float(b)) => int_to_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_to_float(b, a).reverse(),
            // The bytes of UTF-8 are ordered as the code points are.
            (Self::Str(a), Self::Str(b)) => a.cmp(b),
            (Self::Str(_), _) => Ordering::Greater,
            (_, Self::Str(_)) => Ordering::Less,
        }
    }
}

/// Exact: converting `int` would round it beyond 2^53.
fn int_to_float(int: i64, float: f64) -> Ordering {
    if float >= BEYOND {
        return Ordering::Less;
    }
    if float < -BEYOND {
        return Ordering::Greater;
    }
    // The whole part fits now.
    #[allow(clippy::cast_possible_truncation)]
    let floor = float.floor() as i64;
    let fraction = if float > float.floor() {
        Ordering::Less
    } else {
        Ordering::Equal
    };
    int.cmp(&floor).then(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(int: i64, float: f64) -> (bool, Option<Ordering>) {
        let (int, float) = (TagValue::Int(int), TagValue::Float(float));
        let order = |a, b| Ordered::of(a)?.among_like(Ordered::of(b)?);
        assert_eq!(
            order(&int, &float),
            order(&float, &int).map(Ordering::reverse)
        );
        (
            Equality::of(&int) == Equality::of(&float),
            order(&int, &float),
        )
    }

    #[test]
    fn integers_and_floats_compare_exactly() {
        let limit = 1_i64 << 53;
        let cases = [
            (limit + 1, limit as f64, Ordering::Greater),
            (limit, limit as f64, Ordering::Equal),
            (-limit - 1, -limit as f64, Ordering::Less),
            (i64::MAX, BEYOND, Ordering::Less),
            (i64::MIN, -BEYOND, Ordering::Equal),
            (i64::MIN, -1e300, Ordering::Greater),
            (i64::MAX, f64::INFINITY, Ordering::Less),
            (0, -0.0, Ordering::Equal),
            (0, f64::MIN_POSITIVE, Ordering::Less),
            (0, -f64::MIN_POSITIVE, Ordering::Greater),
            (-1, -1.5, Ordering::Greater),
            (-2, -1.5, Ordering::Less),
            (1, 1.5, Ordering::Less),
            (2, 1.5, Ordering::Greater),
        ];
        for (int, float, order) in cases {
            let equal = order == Ordering::Equal;
            assert_eq!(compare(int, float), (equal, Some(order)), "{int} {float}");
        }
    }

    #[test]
    fn text_is_ordered_by_code_point_and_not_by_utf16() {
        let text = |value: &str| TagValue::Str(value.into());
        let (private, astral) = (text("\u{ffff}"), text("\u{10000}"));
        let order = Ordered::of(&private).zip(Ordered::of(&astral));
        assert_eq!(order.map(|(a, b)| a.total(b)), Some(Ordering::Less));
    }
}
