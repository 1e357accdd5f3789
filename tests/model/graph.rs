//! The graph of all states, for property (d): which of them reach a settled one without another fault.

/// States by number, and the steps between them that no fault pays for, backwards.
#[derive(Debug, Default)]
pub struct Graph {
    settled: Vec<bool>,
    promised: Vec<bool>,
    /// To, from.
    edges: Vec<(u32, u32)>,
}

impl Graph {
    /// The next state.
    pub fn state(&mut self, settled: bool, promised: bool) {
        self.settled.push(settled);
        self.promised.push(promised);
    }

    pub fn edge(&mut self, from: u32, to: u32) {
        if from != to {
            self.edges.push((to, from));
        }
    }

    /// How many states are settled, and of how many anything is promised.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
        (count(&self.settled), count(&self.promised))
    }

    /// The first state of which something is promised and from which no settled one can be reached.
    #[must_use]
    pub fn stuck(&mut self) -> Option<u32> {
        self.edges.sort_unstable();
        let mut reaches = self.settled.clone();
        let all = 0..self.settled.len() as u32;
        let mut queue: Vec<u32> = all.clone().filter(|state| reaches[*state as usize]).collect();
        while let Some(to) = queue.pop() {
            let begin = self.edges.partition_point(|(at, _)| *at < to);
            for (_, from) in self.edges[begin..].iter().take_while(|(at, _)| *at == to) {
                if !std::mem::replace(&mut reaches[*from as usize], true) {
                    queue.push(*from);
                }
            }
        }
        all.into_iter().find(|state| self.promised[*state as usize] && !reaches[*state as usize])
    }
}
