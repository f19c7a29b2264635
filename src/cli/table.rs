//! Tables as people read them in a terminal.

/// Rows of cells under a heading; columns are as wide as what they hold.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(super) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned).to_vec()] }
    }

    /// Adds a row of as many cells as the heading has.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// The table as lines that are indented by two blanks; `none` where there are no rows.
    pub(super) fn indented(&self) -> String {
        if self.rows.len() == 1 {
            return "  none".to_owned();
        }
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = format!("  {}", cells.collect::<Vec<_>>().join("  "));
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_they_hold() {
        let mut table = Table::new(["ID", "NAME"]);
        assert_eq!(table.indented(), "  none");
        table.row(["1244".to_owned(), "Lead từ website".to_owned()]);
        table.row(["9".to_owned(), String::new()]);
        assert_eq!(table.indented(), "  ID    NAME\n  1244  Lead từ website\n  9");
    }
}
