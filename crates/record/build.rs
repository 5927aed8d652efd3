//! Generates the message types of the audit log's own proto. No `protoc` is needed.
//!
//! It generates no client and no service: they need a transport, which a crate of formats must not
//! bring along. The crate `customs-audit` generates them where they are served.

use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

/// The proto, and the directories of its imports.
const OWN: &str = "../../proto/customs/audit/v1/audit.proto";
const INCLUDES: &str = "../../proto";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={OWN}");
    if let Err(why) = write_own_code() {
        println!("cargo::error={OWN}: {why}");
    }
}

/// Writes the message types of the audit log's proto, and its descriptors.
fn write_own_code() -> Result<(), String> {
    let descriptors = protox::compile([OWN], [INCLUDES]).map_err(|why| why.to_string())?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?)
        .join("audit_descriptors.bin");
    fs::write(&out, descriptors.encode_to_vec())
        .map_err(|why| format!("cannot write {}: {why}", out.display()))?;
    prost_build::Config::new()
        .boxed("customs.audit.v1.Record.answer")
        .compile_fds(descriptors)
        .map_err(|why| why.to_string())
}
