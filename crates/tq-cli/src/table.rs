//! Tables for people: aligned columns, without colours.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// The cells of a row, each as it is displayed.
macro_rules! row {
    ($($cell:expr),* $(,)?) => {
        vec![$(($cell).to_string()),*]
    };
}
pub(crate) use row;

/// A heading with a table under it, or what stands for an empty one.
pub(crate) fn section(text: &mut String, heading: &str, table: Table) {
    let _ = writeln!(text, "\n{heading}");
    if table.row_iter().next().is_none() {
        let _ = writeln!(text, "  none");
        return;
    }
    for line in table.lines() {
        let _ = writeln!(text, "  {}", line.trim_end());
    }
}

/// A table whose first `texts` columns are texts, and the others numbers.
pub(crate) fn table(headings: &[&str], texts: usize) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.iter().copied());
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if number >= texts {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_also_with_wide_characters() {
        let mut table = table(&["name", "count"], 1);
        table.add_row(row!["训练", 7]);
        table.add_row(row!["train@10", 1234]);
        let mut text = String::new();
        section(&mut text, "Things", table);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "  name      count",
                "  训练          7",
                "  train@10   1234"
            ]
        );
    }

    #[test]
    fn an_empty_table_says_so() {
        let mut text = String::new();
        section(&mut text, "Things", table(&["name"], 1));
        assert_eq!(text, "\nThings\n  none\n");
    }
}
