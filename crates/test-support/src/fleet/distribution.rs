//! How long a change of policies is on its way to the replicas, by the way in which it travels.
//!
//! It knows no content of a change, and no replica fails to load it. The rule: each way is modelled
//! by the delays of its parts, which this file names with their source.

use fastrand::Rng;

/// How policies reach a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A mounted ConfigMap. The kubelet looks at each pod every 60 to 90 s (its sync period of one
    /// minute, with its jitter of a half).
    ConfigMap,
    /// The same, and the pods are annotated after the change, which makes the kubelet look at once.
    ConfigMapAnnotated,
    /// git-sync beside customs, which fetches every ten seconds by default.
    GitSync,
    /// An image with the policies as a volume: a rolling update, one new pod at a time.
    ImageVolume,
}

impl Way {
    pub const ALL: [Way; 4] = [
        Way::ConfigMapAnnotated,
        Way::GitSync,
        Way::ConfigMap,
        Way::ImageVolume,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Way::ConfigMap => "ConfigMap",
            Way::ConfigMapAnnotated => "ConfigMap, pods annotated",
            Way::GitSync => "git-sync",
            Way::ImageVolume => "image volume",
        }
    }
}

/// From the change in the API server until a kubelet's watch has it, in seconds.
const WATCH: (f64, f64) = (0.1, 1.0);
const KUBELET_SYNC: (f64, f64) = (60.0, 90.0);
/// From an annotation until the kubelet has written the volume.
const ANNOTATED: (f64, f64) = (0.5, 3.0);
const GIT_SYNC_PERIOD: f64 = 10.0;
/// Fetching a commit and changing the symbolic link.
const GIT_FETCH: (f64, f64) = (0.5, 2.0);
/// From a new pod until it is ready, with its image: scheduling, pulling, starting, loading.
const NEW_POD: (f64, f64) = (4.0, 12.0);
/// customs: a quarter of a second of quiet, then loading (0.14 s to 1.8 s in the benchmarks).
const LOAD: (f64, f64) = (0.4, 2.0);

/// Returns when each replica has the change in force, in seconds after it was published, in
/// ascending order.
pub fn arrivals(way: Way, replicas: usize, seed: u64) -> Vec<f64> {
    let mut rng = Rng::with_seed(seed);
    let mut draw = |(from, to): (f64, f64)| from + (to - from) * rng.f64();
    let mut at = Vec::with_capacity(replicas);
    let mut rolled_out = 0.0;
    for _ in 0..replicas {
        at.push(match way {
            Way::ConfigMap => {
                let period = draw(KUBELET_SYNC);
                draw(WATCH) + draw((0.0, period)) + draw(LOAD)
            }
            Way::ConfigMapAnnotated => draw(WATCH) + draw(ANNOTATED) + draw(LOAD),
            Way::GitSync => draw((0.0, GIT_SYNC_PERIOD)) + draw(GIT_FETCH) + draw(LOAD),
            Way::ImageVolume => {
                rolled_out += draw(NEW_POD) + draw(LOAD);
                rolled_out
            }
        });
    }
    at.sort_by(f64::total_cmp);
    at
}

/// Returns which part of the replicas has the change at a moment, 0 to 1.
pub fn share_at(arrivals: &[f64], seconds: f64) -> f64 {
    let have = arrivals.partition_point(|at| *at <= seconds);
    have as f64 / arrivals.len().max(1) as f64
}

#[cfg(test)]
mod tests;
