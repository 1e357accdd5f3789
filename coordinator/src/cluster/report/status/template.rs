//! TemplateApplied: whether all of the user's pod template is used. Only a cluster with a template has it.

use super::{
    Input,
    condition::{ConditionUpdate, Status},
};
use crate::cluster::{
    build::pod::template::{Admitted, Loss, Ours, admit},
    decide::Care,
};

/// The condition's type.
pub const KIND: &str = "TemplateApplied";
/// As many are told by their names.
const TOLD: usize = 5;

/// What to say, or `None` where there is no template. `care`: what the spec was found to say.
pub fn applied(input: Input<'_>, care: &Care) -> Option<ConditionUpdate> {
    let template = care.wanted.template.as_deref()?;
    let ours = Ours::of(input.cluster, &care.incarnation);
    let Admitted { losses, .. } = admit(Some(template), &input.cluster.spec.pod, ours);
    let (status, reason, message) = match losses.as_slice() {
        [] => (Status::True, "AllFieldsUsed", "all of spec.pod.template is used".to_owned()),
        losses => (Status::False, "FieldsNotUsed", sentence(losses)),
    };
    Some(ConditionUpdate { kind: KIND, status, reason: reason.into(), message })
}

fn sentence(losses: &[Loss]) -> String {
    let told: Vec<String> = losses.iter().take(TOLD).map(ToString::to_string).collect();
    match losses.len().saturating_sub(TOLD) {
        0 => told.join("; "),
        more => format!("{} (and {more} more)", told.join("; ")),
    }
}
