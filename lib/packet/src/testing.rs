//! The tests that every fixed header shares: `deconstruct`, `construct`, `parse`, `emit` and two properties.

/// Decodes hex digits; blanks are for the reader.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (b as char).to_digit(16).expect("a hex digit") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// `header_tests!(Type, "hex bytes", value)`: `value` is what the bytes mean.
macro_rules! header_tests {
    ($header:ty, $hex:literal, $value:expr) => {
        use proptest::prelude::*;
        use $crate::{Wire, testing::hex};

        #[test]
        fn deconstruct() {
            let bytes = hex($hex);
            assert_eq!(<$header>::parse(&bytes).unwrap().0, &$value);
        }

        #[test]
        fn construct() {
            let mut bytes = vec![0xa5; <$header>::SIZE];
            *<$header>::parse_mut(&mut bytes).unwrap().0 = $value;
            assert_eq!(bytes, hex($hex));
        }

        #[test]
        fn parse() {
            let bytes = hex($hex);
            for size in 0..<$header>::SIZE {
                assert!(<$header>::parse(&bytes[..size]).is_none());
            }
            assert_eq!(
                <$header>::parse(&bytes).unwrap().1.len(),
                bytes.len() - <$header>::SIZE
            );
        }

        #[test]
        fn emit() {
            let mut bytes = vec![0xa5; <$header>::SIZE + 1];
            assert_eq!($value.emit(&mut bytes).unwrap(), [0xa5]);
            assert_eq!(bytes[..<$header>::SIZE], hex($hex));
            assert!($value.emit(&mut bytes[..<$header>::SIZE - 1]).is_none());
        }

        proptest! {
            #[test]
            fn emit_then_parse(noise in proptest::collection::vec(any::<u8>(), <$header>::SIZE)) {
                let value = *<$header>::parse(&noise).unwrap().0;
                let mut bytes = vec![0xa5; <$header>::SIZE];
                value.emit(&mut bytes).unwrap();
                prop_assert_eq!(<$header>::parse(&bytes).unwrap().0, &value);
                prop_assert_eq!(bytes, noise);
            }
        }
    };
}
pub(crate) use header_tests;
