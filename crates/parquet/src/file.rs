//! One Parquet file of records.
//!
//! It chooses no name. The rules: a row group holds the rows that it is given, compressed with
//! Zstandard; what the file says about itself is in its key-value metadata.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::rows::RecordRows;
use crate::schema::{RecordSchema, VERSION};

/// The key of the version of the schema.
pub const SCHEMA_VERSION_KEY: &str = "customs.schema_version";

/// The key of the version of customs that wrote the file.
pub const CUSTOMS_VERSION_KEY: &str = "customs.version";

/// A file that is being written.
#[derive(Debug)]
pub struct RecordFile<W: Write> {
    writer: SerializedFileWriter<W>,
    rows: u64,
}

impl<W: Write + Send> RecordFile<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(out: W, schema: &RecordSchema) -> Result<RecordFile<W>, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_created_by(format!("customs version {}", env!("CARGO_PKG_VERSION")))
            .build();
        let mut writer = SerializedFileWriter::new(out, schema.parquet(), Arc::new(properties))?;
        let version = VERSION.to_string();
        for (key, value) in [
            (SCHEMA_VERSION_KEY, version.as_str()),
            (CUSTOMS_VERSION_KEY, env!("CARGO_PKG_VERSION")),
        ] {
            writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value.to_owned()));
        }
        Ok(RecordFile { writer, rows: 0 })
    }

    /// Writes a row group of these rows, if there are some.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, rows: RecordRows) -> Result<(), ParquetError> {
        let count = rows.len();
        if count == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for column in rows.into_columns() {
            let Some(mut out) = group.next_column()? else {
                break;
            };
            column.write(count, &mut out)?;
            out.close()?;
        }
        group.close()?;
        self.rows += count as u64;
        Ok(())
    }

    /// Returns the number of rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the number of bytes so far.
    pub fn bytes(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Ends the file with these key-value pairs, and returns where it was written to.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(mut self, metadata: &[(String, String)]) -> Result<W, ParquetError> {
        for (key, value) in metadata {
            self.writer
                .append_key_value_metadata(KeyValue::new(key.clone(), value.clone()));
        }
        self.writer.into_inner()
    }
}
