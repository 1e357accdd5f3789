//! Columns that line up.

use super::paint::{Paint, Tone};

/// Between two columns, as kubectl has it.
const GAP: usize = 3;

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    #[must_use]
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// What may be missing: a dash is easier to see than nothing.
#[must_use]
pub fn or_dash(text: Option<impl Into<String>>) -> Cell {
    text.map_or_else(|| Cell::new("-", Tone::Dim), Cell::from)
}

/// Rows below a heading.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    #[must_use]
    pub fn new(heads: &[&str]) -> Self {
        let mut table = Self::default();
        if !heads.is_empty() {
            table.row(heads.iter().map(|head| Cell::new(*head, Tone::Strong)).collect());
        }
        table
    }

    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Each line with `indent` before it. The last column of a row is not padded.
    #[must_use]
    pub fn print(&self, paint: Paint, indent: &str) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(length).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            out.push_str(indent);
            for (column, cell) in row.iter().enumerate() {
                out.push_str(&paint.put(cell.tone, &cell.text));
                if column + 1 < row.len() {
                    out.push_str(&" ".repeat(widths[column] - length(cell) + GAP));
                }
            }
            out.push('\n');
        }
        out
    }
}

fn length(cell: &Cell) -> usize {
    cell.text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_do_not_move_columns() {
        let mut table = Table::new(&["A", "B"]);
        table.row(vec![Cell::new("long", Tone::Bad), "x".into()]);
        assert_eq!(table.print(Paint::Plain, "  "), "  A      B\n  long   x\n");
        assert_eq!(table.print(Paint::Coloured, ""), "\x1b[1mA\x1b[0m      \x1b[1mB\x1b[0m\n\x1b[31mlong\x1b[0m   x\n");
    }
}
