//! What is shown, as plain data: made of objects, without a client or a clock.

pub mod answer;
pub mod fleet;
pub mod page;
pub mod pod_trouble;
pub mod row;
