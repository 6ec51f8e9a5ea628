//! The shape of a Parquet footer.
//!
//! The decoder goes by the numbers of fields alone and reads each as the type it has to be, whatever type the bytes declare. So a
//! field of another type would have it go on elsewhere than was walked over, where nothing has held lengths against bytes.
//!
//! Structures and numbers: <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>

use super::thrift::Shape::{self, Binary, Bool, Byte, Double, Integer, List, Struct};
use super::thrift::{Broken, Walker, kind};

/// `FileMetaData`.
const FOOTER: Shape = Struct(&[
    (1, Integer),
    (2, List(&SCHEMA_ELEMENT)),
    (3, Integer),
    (4, List(&ROW_GROUP)),
    (5, List(&KEY_VALUE)),
    (6, Binary),
    (7, List(&COLUMN_ORDER)),
    (8, EMPTY),
    (9, Binary),
]);

const SCHEMA_ELEMENT: Shape = Struct(&[
    (1, Integer),
    (2, Integer),
    (3, Integer),
    (4, Binary),
    (5, Integer),
    (6, Integer),
    (7, Integer),
    (8, Integer),
    (9, Integer),
    (10, LOGICAL_TYPE),
]);

const LOGICAL_TYPE: Shape = Struct(&[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, Integer), (2, Integer)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Struct(&[(1, Byte), (2, Bool)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Struct(&[(1, Byte)])),
    (17, Struct(&[(1, Binary)])),
    (18, Struct(&[(1, Binary), (2, Integer)])),
]);

/// Of a time or timestamp.
const TIME: Shape = Struct(&[(1, Bool), (2, Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]))]);

const ROW_GROUP: Shape = Struct(&[
    (1, List(&COLUMN_CHUNK)),
    (2, Integer),
    (3, Integer),
    (4, List(&SORTING_COLUMN)),
    (5, Integer),
    (6, Integer),
    (7, Integer),
]);

const SORTING_COLUMN: Shape = Struct(&[(1, Integer), (2, Bool), (3, Bool)]);

const COLUMN_CHUNK: Shape = Struct(&[
    (1, Binary),
    (2, Integer),
    (3, COLUMN_METADATA),
    (4, Integer),
    (5, Integer),
    (6, Integer),
    (7, Integer),
    (8, EMPTY),
    (9, Binary),
]);

const COLUMN_METADATA: Shape = Struct(&[
    (1, Integer),
    (2, List(&Integer)),
    (3, List(&Binary)),
    (4, Integer),
    (5, Integer),
    (6, Integer),
    (7, Integer),
    (8, List(&KEY_VALUE)),
    (9, Integer),
    (10, Integer),
    (11, Integer),
    (12, STATISTICS),
    (13, List(&ENCODING_STATISTICS)),
    (14, Integer),
    (15, Integer),
    (16, SIZE_STATISTICS),
    (17, GEOSPATIAL_STATISTICS),
]);

const STATISTICS: Shape =
    Struct(&[(1, Binary), (2, Binary), (3, Integer), (4, Integer), (5, Binary), (6, Binary), (7, Bool), (8, Bool)]);

const ENCODING_STATISTICS: Shape = Struct(&[(1, Integer), (2, Integer), (3, Integer)]);

const SIZE_STATISTICS: Shape = Struct(&[(1, Integer), (2, List(&Integer)), (3, List(&Integer))]);

const GEOSPATIAL_STATISTICS: Shape = Struct(&[(1, BOUNDING_BOX), (2, List(&Integer))]);

const BOUNDING_BOX: Shape =
    Struct(&[(1, Double), (2, Double), (3, Double), (4, Double), (5, Double), (6, Double), (7, Double), (8, Double)]);

const KEY_VALUE: Shape = Struct(&[(1, Binary), (2, Binary)]);
const COLUMN_ORDER: Shape = Struct(&[(1, EMPTY)]);
const EMPTY: Shape = Struct(&[]);

/// Checks that all there is to a footer is of the types it has to be and no longer than its bytes.
pub(super) fn check(footer: &[u8]) -> Result<(), Broken> {
    Walker::new(footer).skip_as(kind::STRUCT, &FOOTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_fields_have_the_types_that_the_decoder_takes_them_for() {
        // Version 2; an unknown field 20 of any type.
        assert_eq!(check(&[0x15, 0x04, 0x08, 0x28, 0x02, 0x41, 0x42, 0x00]), Ok(()));
        // The version as two bytes of text, which hold what the decoder would go on with.
        assert_eq!(check(&[0x18, 0x02, 0x41, 0x42, 0x00]), Err(Broken::Implausible));
        // A schema whose elements are numbers; one element, its name a number; and one as it should be.
        assert_eq!(check(&[0x29, 0x15, 0x02, 0x00]), Err(Broken::Implausible));
        assert_eq!(check(&[0x29, 0x1c, 0x45, 0x02, 0x00, 0x00]), Err(Broken::Implausible));
        assert_eq!(check(&[0x29, 0x1c, 0x48, 0x01, 0x61, 0x00, 0x00]), Ok(()));
        // As many row groups as there cannot be.
        assert_eq!(check(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]), Err(Broken::Implausible));
    }
}
