//! Commands for `kubectl exec POD -c agent --`.

pub mod status;
pub mod volume;
