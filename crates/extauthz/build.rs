//! Cuts the descriptors of `envoy.service.auth.v3` out of the set that the envoy-types package
//! ships, for reflection.
//!
//! Nothing of Envoy's protos is copied into this repository: the descriptors always match the types
//! that are compiled. If the package cannot be found, the build stops and names the variable that
//! helps; it never continues without the descriptors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// The file whose closure is needed.
const ROOT: &str = "envoy/service/auth/v3/external_auth.proto";
/// The variable that names the package's directory, for when cargo cannot.
const OVERRIDE: &str = "CUSTOMS_ENVOY_TYPES_DIR";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    if let Err(why) = write_descriptors() {
        println!("cargo::error={why}; set {OVERRIDE} to the directory of the envoy-types package");
    }
}

fn write_descriptors() -> Result<(), String> {
    let blob = package_dir()?.join("src/generated/types.bin");
    println!("cargo::rerun-if-changed={}", blob.display());
    let bytes = fs::read(&blob).map_err(|why| format!("cannot read {}: {why}", blob.display()))?;
    let all = FileDescriptorSet::decode(bytes.as_slice())
        .map_err(|why| format!("{}: {why}", blob.display()))?;
    let closure = FileDescriptorSet {
        file: closure(all.file)?,
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?)
        .join("ext_authz_descriptors.bin");
    fs::write(&out, closure.encode_to_vec())
        .map_err(|why| format!("cannot write {}: {why}", out.display()))
}

/// Returns the root file and everything that it imports, imports first.
fn closure(files: Vec<FileDescriptorProto>) -> Result<Vec<FileDescriptorProto>, String> {
    let mut by_name: BTreeMap<String, FileDescriptorProto> = files
        .into_iter()
        .map(|file| (file.name().to_owned(), file))
        .collect();
    let mut ordered = Vec::new();
    let mut visited = BTreeSet::new();
    visit(ROOT, &by_name, &mut visited, &mut ordered)?;
    Ok(ordered
        .iter()
        .filter_map(|name| by_name.remove(name))
        .collect())
}

fn visit(
    name: &str,
    files: &BTreeMap<String, FileDescriptorProto>,
    visited: &mut BTreeSet<String>,
    ordered: &mut Vec<String>,
) -> Result<(), String> {
    if !visited.insert(name.to_owned()) {
        return Ok(());
    }
    let file = files
        .get(name)
        .ok_or_else(|| format!("envoy-types has no descriptor of {name}"))?;
    for import in &file.dependency {
        visit(import, files, visited, ordered)?;
    }
    ordered.push(name.to_owned());
    Ok(())
}

fn package_dir() -> Result<PathBuf, String> {
    if let Some(dir) = env::var_os(OVERRIDE) {
        return Ok(dir.into());
    }
    // On a new machine, a build without tests has not fetched the packages of the tests, and cargo
    // requires all of them.
    let output = cargo_metadata(&["--offline"]).or_else(|_incomplete| cargo_metadata(&[]))?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output).map_err(|why| why.to_string())?;
    let packages = metadata
        .get("packages")
        .and_then(|p| p.as_array())
        .ok_or("`cargo metadata` lists no packages")?;
    let text = |package: &'_ serde_json::Value, field: &str| {
        Some(package.get(field)?.as_str()?.to_owned())
    };
    let package = packages
        .iter()
        .find(|p| text(p, "name").as_deref() == Some("envoy-types"));
    let manifest = package
        .and_then(|p| text(p, "manifest_path"))
        .ok_or("envoy-types is not among the packages")?;
    Ok(Path::new(&manifest)
        .parent()
        .ok_or("the manifest has no directory")?
        .to_owned())
}

fn cargo_metadata(more: &[&str]) -> Result<Vec<u8>, String> {
    let cargo = env::var_os("CARGO").ok_or("CARGO is not set")?;
    let target = env::var("TARGET").map_err(|why| why.to_string())?;
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            &target,
        ])
        .args(more)
        .output()
        .map_err(|why| format!("cannot run `cargo metadata`: {why}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!(
        "`cargo metadata` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}
