//! One figure, one line of JSON.

use serde_json::json;

/// Measurements of one thing, and of the floor in the same run.
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub values: Vec<f64>,
    /// The same done without an operator, turn by turn; empty where no floor exists.
    pub floor: Vec<f64>,
    /// What it is to be at most, where no floor exists.
    pub goal: Option<f64>,
}

impl Figure {
    /// Measured where no floor exists.
    pub fn of(name: impl Into<String>, unit: &'static str, values: Vec<f64>) -> Self {
        Self { name: name.into(), unit, values, floor: vec![], goal: None }
    }

    /// The same figure with what it is to be at most.
    pub fn goal(self, goal: f64) -> Self {
        Self { goal: Some(goal), ..self }
    }

    /// Prints medians, with the extremes and the number of runs: machines are noisy.
    pub fn print(&self) {
        let mut line = json!({
            "name": &self.name,
            "unit": self.unit,
            "value": rounded(median(&self.values)),
            "min": rounded(self.values.iter().copied().fold(f64::INFINITY, f64::min)),
            "max": rounded(self.values.iter().copied().fold(0.0, f64::max)),
            "runs": self.values.len(),
        });
        if !self.floor.is_empty() {
            line["floor"] = json!(rounded(median(&self.floor)));
            line["ratio"] = json!(rounded(median(&self.values) / median(&self.floor)));
        }
        if let Some(goal) = self.goal {
            line["goal"] = json!(goal);
        }
        println!("{line}");
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
