//! Numbers compared by value, without rounding.

use std::cmp::Ordering;
use std::fmt;

use crate::json::Json;

/// A finite JSON number.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// An integer.
    Integer(i64),
    /// Any other number.
    Float(f64),
}

impl Number {
    /// The number, if the value is one.
    pub fn of(value: &Json) -> Option<Self> {
        match value {
            Json::Integer(number) => Some(Self::Integer(*number)),
            Json::Float(number) if number.is_finite() => Some(Self::Float(*number)),
            _ => None,
        }
    }

    /// Compares exactly: an integer beyond 2^53 does not equal the float that it would be rounded to.
    pub fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => order(a, b),
            (Self::Integer(a), Self::Float(b)) => compare_mixed(a, b),
            (Self::Float(a), Self::Integer(b)) => compare_mixed(b, a).reverse(),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other) == Ordering::Equal
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Float(number) => write!(formatter, "{number}"),
        }
    }
}

/// Both are finite, so only 0.0 and -0.0 need care: `total_cmp` distinguishes them.
fn order(a: f64, b: f64) -> Ordering {
    if a == b {
        Ordering::Equal
    } else {
        a.total_cmp(&b)
    }
}

fn compare_mixed(integer: i64, float: f64) -> Ordering {
    /// 2^63, the smallest float above every `i64`.
    const ABOVE: f64 = 9_223_372_036_854_775_808.0;
    if float >= ABOVE {
        return Ordering::Less;
    }
    if float < -ABOVE {
        return Ordering::Greater;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within the range of i64, and whole"
    )]
    let whole = float.trunc() as i64;
    integer.cmp(&whole).then_with(|| order(0.0, float.fract()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_is_exact() {
        use Number::{Float, Integer};
        for (a, b, expected) in [
            (Integer(5), Float(5.0), Ordering::Equal),
            (Integer(0), Float(-0.0), Ordering::Equal),
            (Integer(5), Float(5.5), Ordering::Less),
            (Integer(-5), Float(-5.5), Ordering::Greater),
            (Integer(0), Float(-0.5), Ordering::Greater),
            (
                Integer(9_007_199_254_740_993),
                Float(9_007_199_254_740_992.0),
                Ordering::Greater,
            ),
            (Integer(i64::MAX), Float(9.3e18), Ordering::Less),
            (
                Integer(i64::MAX),
                Float(9_223_372_036_854_775_808.0),
                Ordering::Less,
            ),
            (
                Integer(i64::MIN),
                Float(-9_223_372_036_854_775_808.0),
                Ordering::Equal,
            ),
            (Integer(i64::MIN), Float(-1e300), Ordering::Greater),
            (Float(0.0), Float(-0.0), Ordering::Equal),
            (Float(1.5), Float(2.5), Ordering::Less),
        ] {
            assert_eq!(a.compare(b), expected, "{a} {b}");
            assert_eq!(b.compare(a), expected.reverse(), "{b} {a}");
        }
    }
}
