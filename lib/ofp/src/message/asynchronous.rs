//! Which asynchronous messages a controller wants: OFPT_GET_ASYNC, OFPT_SET_ASYNC, NXT_SET_ASYNC_CONFIG.

/// Kinds of asynchronous messages that can be chosen.
pub const ASYNC_KINDS: usize = 8;

macro_rules! kinds {
    ($($kind:ident)*) => {
        /// OFPT_GET_ASYNC_REPLY: bit masks of reasons, for [primary or equal, secondary].
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names are the specification's")]
        pub struct AsyncConfig {
            $(pub $kind: [u32; 2],)*
        }

        /// OFPT_SET_ASYNC: the same; `None` stays as it is.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names are the specification's")]
        pub struct AsyncChange {
            $(pub $kind: [Option<u32>; 2],)*
        }

        impl AsyncConfig {
            /// What there is after a change.
            pub fn with(mut self, change: AsyncChange) -> AsyncConfig {
                for who in 0..2 {
                    $(self.$kind[who] = change.$kind[who].unwrap_or(self.$kind[who]);)*
                }
                self
            }
        }

        impl From<AsyncConfig> for AsyncChange {
            /// Sets every mask.
            fn from(config: AsyncConfig) -> AsyncChange {
                AsyncChange { $($kind: config.$kind.map(Some)),* }
            }
        }

        impl AsyncChange {
            /// The masks in the order of the specification's properties.
            pub fn kinds(&self) -> [[Option<u32>; 2]; ASYNC_KINDS] {
                [$(self.$kind),*]
            }
            /// The same, to be written.
            pub fn kinds_mut(&mut self) -> [&mut [Option<u32>; 2]; ASYNC_KINDS] {
                [$(&mut self.$kind),*]
            }
        }
    };
}

kinds! { packet_in port_status flow_removed role_status table_status requestforward flow_stats controller_status }
