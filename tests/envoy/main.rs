//! customs behind the real Envoy: the demo's scenario, its variants, and what happens when
//! something breaks.
//!
//! The tests share one rig (four Envoys and customs take a second to start), whose gateway has a
//! route for every spelling of every host, and take turns with it; `routes` and `istiod` have their
//! own. Each begins by setting the policies in force. What a decision should be is tested in full
//! elsewhere. Here the tests show that Envoy asks what the code expects, and does with the answer
//! what the code expects.

mod changes;
mod connection_age;
mod doctor;
mod failover;
mod failures;
mod held_up;
mod istiod;
mod mutual_tls;
mod routes;
mod scenario;
mod scene;
mod spellings;
mod unproven;

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow};
use customs_test_support::rig::{Rig, Routes};
use customs_test_support::tools;

static RIG: LazyLock<Result<Mutex<Rig>>> = LazyLock::new(|| {
    let envoy = tools::envoy()?;
    tools::announce(&envoy);
    Ok(Mutex::new(Rig::start(
        env!("CARGO_BIN_EXE_customs").as_ref(),
        &envoy,
        Routes::EveryHost,
    )?))
});

/// Returns the rig, locked, with the other team's baseline and these files in force.
fn rig_with(policies: &[&str]) -> Result<MutexGuard<'static, Rig>> {
    let rig = RIG
        .as_ref()
        .map_err(|error| anyhow!("the rig did not start: {error:#}"))?;
    // A failed test has not broken the rig for the next one, which begins by resetting it.
    let mut rig = rig.lock().unwrap_or_else(PoisonError::into_inner);
    rig.reset(policies).context("resetting the rig")?;
    Ok(rig)
}
