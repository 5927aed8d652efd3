//! The flags that bound a connection of the address where Envoy asks.

use clap::Args;

use crate::app::settings::Settings;

/// The flags; what is not given is left to the settings file and the defaults.
#[derive(Clone, Debug, Args)]
pub struct ConnectionArgs {
    /// How many calls a connection may have open at once [default: 1024]
    #[arg(long, value_name = "N", env = "CUSTOMS_MAX_CONCURRENT_STREAMS")]
    max_concurrent_streams: Option<u32>,
    /// How many calls a client may reset, at once and in a second [default: four times as many]
    #[arg(long, value_name = "N", env = "CUSTOMS_MAX_PENDING_RESETS")]
    max_pending_resets: Option<u32>,
    /// The largest message that is read [default: 4MiB]
    #[arg(long, value_name = "SIZE", env = "CUSTOMS_MAX_MESSAGE_SIZE")]
    max_message_size: Option<String>,
}

impl ConnectionArgs {
    /// The settings that hold over this file.
    pub(super) fn over(self, file: Settings) -> Settings {
        Settings {
            max_concurrent_streams: self
                .max_concurrent_streams
                .unwrap_or(file.max_concurrent_streams),
            max_pending_resets: self.max_pending_resets.or(file.max_pending_resets),
            max_message_size: self.max_message_size.unwrap_or(file.max_message_size),
            ..file
        }
    }
}
