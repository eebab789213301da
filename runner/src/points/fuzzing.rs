//! A fuzz target for files of points, as `import --points` reads them.

#![expect(clippy::unwrap_used, reason = "a broken promise ends the run")]

use std::io::Cursor;

use qdrant_backup_shared::fuzzing::assert_line;

use super::difference::{Rules, difference};
use super::input::{Input, POINT_MAX_BYTES};
use super::point::Point;
use super::transfer::{Header, end, request};
use crate::qdrant::{PayloadIndex, WholePoint};

/// Maximum number of lines to read.
const LINES: usize = 1000;

/// A file of points, compressed or not.
pub fn points(data: &[u8]) {
    let Ok(mut input) = Input::of("file".to_owned(), Cursor::new(data.to_vec())) else { return };
    for _ in 0..LINES {
        match input.line(POINT_MAX_BYTES) {
            Ok(Some(line)) => {
                assert!(!line.is_empty() && !line.contains('\n'));
                of_line(&line, &input);
            }
            Ok(None) => return,
            Err(error) => return assert_line(&error.to_string()),
        }
    }
}

fn of_line(line: &str, input: &Input) {
    end(line);
    if let Ok(header) = serde_json::from_str::<Header>(line) {
        request(&header, &[]);
        PayloadIndex::all(&header.payload_schema);
    }
    let point = match serde_json::from_str::<WholePoint>(line) {
        Ok(point) => point,
        Err(error) => return assert_line(&input.wrong(error.to_string()).to_string()),
    };
    let point = match Point::of(point) {
        Ok(point) => point,
        Err(error) => return assert_line(&error.to_string()),
    };
    // A point that is written to a file is read back unchanged.
    let written = point.line();
    assert!(!written.contains(['\n', '\r']));
    let again = Point::of(serde_json::from_str(&written).unwrap()).unwrap();
    assert_eq!(again.id, point.id);
    assert_eq!(again.line(), written);
    let rules = Rules::of(&serde_json::Value::Null, &serde_json::Value::Null);
    assert_eq!(difference(&point, &again, &rules), None, "{written}");
    if let (Ok(one), Ok(other)) = (point.to_write(), again.to_write()) {
        assert_eq!(one, other);
    }
    assert_eq!(point.id.to_string().parse(), Ok(point.id));
}
