//! The graph of all states, for property (d): which of them reach a settled one without another fault.

/// States by number, and the steps between them that no fault pays for. Four bytes a step.
#[derive(Debug, Default)]
pub struct Graph {
    settled: Vec<bool>,
    promised: Vec<bool>,
    /// Where the steps of each state that was left begin.
    begins: Vec<usize>,
    targets: Vec<u32>,
}

impl Graph {
    /// The next state.
    pub fn state(&mut self, settled: bool, promised: bool) {
        self.settled.push(settled);
        self.promised.push(promised);
    }

    /// The steps that are added from now on are those of the next state, in the order of their numbers.
    pub fn leave(&mut self) {
        self.begins.push(self.targets.len());
    }

    pub fn step(&mut self, to: u32) {
        self.targets.push(to);
    }

    /// How many states are settled, and of how many anything is promised.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
        (count(&self.settled), count(&self.promised))
    }

    /// The first state of which something is promised and from which no settled one can be reached.
    ///
    /// Most steps lead to a later state, so going through them from the last to the first, again until nothing is new, needs
    /// few rounds and no edges backwards.
    #[must_use]
    pub fn stuck(&self) -> Option<usize> {
        let mut reaches = self.settled.clone();
        loop {
            let mut found = false;
            let mut end = self.targets.len();
            for (state, begin) in self.begins.iter().enumerate().rev() {
                if !reaches[state] && self.targets[*begin..end].iter().any(|to| reaches[*to as usize]) {
                    (reaches[state], found) = (true, true);
                }
                end = *begin;
            }
            if !found {
                return (0..reaches.len()).find(|state| self.promised[*state] && !reaches[*state]);
            }
        }
    }
}
