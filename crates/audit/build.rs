//! Generates the client and the service of the audit log's own proto, if the feature
//! `network-sinks` is on.
//!
//! The message types are not generated again: those of `customs-record` are used.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "network-sinks")]
    service::write();
}

#[cfg(feature = "network-sinks")]
mod service {
    /// The proto, and the directories of its imports.
    const OWN: &str = "../../proto/customs/audit/v1/audit.proto";
    const INCLUDES: &str = "../../proto";

    pub(crate) fn write() {
        println!("cargo::rerun-if-changed={OWN}");
        if let Err(why) = write_own_code() {
            println!("cargo::error={OWN}: {why}");
        }
    }

    fn write_own_code() -> Result<(), String> {
        let descriptors = protox::compile([OWN], [INCLUDES]).map_err(|why| why.to_string())?;
        tonic_prost_build::configure()
            .build_transport(true)
            .extern_path(".customs.audit.v1", "::customs_record::proto")
            .compile_fds(descriptors)
            .map_err(|why| why.to_string())
    }
}
