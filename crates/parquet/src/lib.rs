//! The records of the audit log as Parquet, for DuckDB, ClickHouse, Spark and other query engines.
//!
//! - [`schema`] makes the columns from the tables of fields, which are in `customs-record`;
//! - [`rows`] holds records column by column;
//! - [`file`](mod@file) writes them into one Parquet file;
//! - [`export`] chooses the files and gives them their names.
//!
//! It reads no audit log and filters nothing: it gets records. The rules:
//!
//! - A column is a field of a record. There is no second list of fields here.
//! - Memory is bounded by the rows of a row group, whatever the number of records.
//! - A file gets its name once all files are complete, and replaces no other.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod column;
pub mod export;
pub mod file;
mod message;
#[cfg(test)]
mod read_back;
pub mod rows;
pub mod schema;
