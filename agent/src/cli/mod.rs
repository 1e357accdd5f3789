//! Commands for `kubectl exec POD -c agent --`.

pub mod snapshot;
pub mod status;
pub mod volume;
