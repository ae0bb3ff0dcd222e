//! What was measured, for programs and for people.

use serde_json::{Map, Value, json};

use super::histogram::Histogram;
use crate::quantity::Bytes;
use crate::table::{row, section, table};

/// One operation of one scenario. As JSON, it is a line; keys are added and never change their meaning.
#[derive(Clone, Default, Debug)]
pub(crate) struct Line {
    pub(crate) scenario: &'static str,
    pub(crate) operation: &'static str,
    /// What was asked for: names and numbers.
    pub(crate) parameters: Vec<(&'static str, Value)>,
    pub(crate) times: Histogram,
    /// Bytes of payload that were moved, in all.
    pub(crate) bytes: u64,
    /// Calls that failed, and wrong content.
    pub(crate) errors: u64,
    /// Things that are dealt with in one call, such as keys.
    pub(crate) per_call: u64,
    /// Further keys of the JSON.
    pub(crate) more: Map<String, Value>,
}

impl Line {
    /// Bytes a second at the median; `None` where nothing is moved.
    fn rate(&self) -> Option<f64> {
        let (count, median) = (self.times.count(), self.times.median());
        let moved = self.bytes > 0 && count > 0 && median > 0.0;
        moved.then(|| self.bytes as f64 / count as f64 / median)
    }

    /// Seconds for each of the things of a call.
    fn each(&self) -> Option<f64> {
        (self.per_call > 1).then(|| self.times.median() / self.per_call as f64)
    }

    pub(crate) fn to_json(&self) -> Value {
        let parameters: Map<_, _> = self
            .parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let mut line = json!({
            "scenario": self.scenario,
            "operation": self.operation,
            "parameters": parameters,
            "n": self.times.count(),
            "median": self.times.median(),
            "p90": self.times.quantile(0.9),
            "p99": self.times.quantile(0.99),
            "max": self.times.max(),
            "bytes": self.bytes,
            "errors": self.errors,
        });
        if let Some(rate) = self.rate() {
            line["bytes_per_second"] = rate.into();
        }
        if let Some(each) = self.each() {
            line["median_each"] = each.into();
        }
        for (name, value) in &self.more {
            line[name] = value.clone();
        }
        line
    }
}

/// The lines of a scenario under a heading.
pub(crate) fn tables(heading: &str, lines: &[Line]) -> String {
    let mut text = String::new();
    let Some(first) = lines.first() else {
        return text;
    };
    let names = first.parameters.iter().map(|(name, _)| *name);
    let mut headings: Vec<_> = ["operation"].into_iter().chain(names).collect();
    headings.extend(["n", "median", "p90", "p99", "max"]);
    let rated = lines.iter().any(|line| line.rate().is_some());
    let each = lines.iter().any(|line| line.each().is_some());
    headings.extend(rated.then_some("per second"));
    headings.extend(each.then_some("each"));
    headings.push("errors");
    let mut table = table(&headings, 1);
    for line in lines {
        let mut cells = row![line.operation];
        cells.extend(
            line.parameters
                .iter()
                .map(|(name, value)| shown(name, value)),
        );
        cells.push(line.times.count().to_string());
        for share in [0.5, 0.9, 0.99] {
            cells.push(span(line.times.quantile(share)));
        }
        cells.push(span(line.times.max()));
        if rated {
            cells.push(line.rate().map_or_else(|| "-".to_owned(), speed));
        }
        if each {
            cells.push(line.each().map_or_else(|| "-".to_owned(), span));
        }
        cells.push(line.errors.to_string());
        table.add_row(cells);
    }
    section(&mut text, heading, table);
    text
}

/// A parameter as people read it.
fn shown(name: &str, value: &Value) -> String {
    match value {
        Value::Number(number) if name == "bytes" => {
            Bytes(number.as_u64().unwrap_or_default()).to_string()
        }
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// Seconds in the largest unit that fits.
pub(crate) fn span(seconds: f64) -> String {
    for (factor, unit) in [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")] {
        if seconds >= factor {
            return format!("{} {unit}", three_digits(seconds / factor));
        }
    }
    format!("{:.0} ns", seconds * 1e9)
}

/// Bytes a second as people read them: powers of ten, as memory and networks are sold.
pub(crate) fn speed(bytes: f64) -> String {
    for (factor, unit) in [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")] {
        if bytes >= factor {
            return format!("{} {unit}", three_digits(bytes / factor));
        }
    }
    format!("{bytes:.0} B")
}

fn three_digits(number: f64) -> String {
    match number {
        number if number < 10.0 => format!("{number:.2}"),
        number if number < 100.0 => format!("{number:.1}"),
        number => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line() -> Line {
        let mut line = Line {
            scenario: "transfer",
            operation: "put",
            parameters: vec![("bytes", json!(1 << 20)), ("column", json!("dense"))],
            bytes: 3 << 20,
            per_call: 64,
            ..Line::default()
        };
        for millis in [1, 2, 4] {
            line.times.add(Duration::from_millis(millis));
        }
        line
    }

    #[test]
    fn a_line_of_json_has_what_programs_are_promised() {
        let json = line().to_json();
        assert_eq!(json["scenario"], "transfer");
        assert_eq!(json["operation"], "put");
        assert_eq!(
            json["parameters"],
            json!({ "bytes": 1 << 20, "column": "dense" })
        );
        assert_eq!(
            (&json["n"], &json["bytes"], &json["errors"]),
            (&json!(3), &json!(3 << 20), &json!(0))
        );
        let number = |name: &str| json[name].as_f64().unwrap();
        assert!((number("median") - 0.002).abs() < 2e-5);
        assert_eq!(number("max"), 0.004);
        assert!((number("bytes_per_second") / (f64::from(1 << 20) / 0.002) - 1.0).abs() < 0.01);
        assert!((number("median_each") - 0.002 / 64.0).abs() < 1e-6);
        assert!(!json.to_string().contains('\n'));
    }

    #[test]
    fn a_table_has_the_same_in_words() {
        let text = tables("Transfer", &[line()]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "Transfer");
        let cells: Vec<_> = lines[3]
            .split("  ")
            .filter(|cell| !cell.is_empty())
            .map(str::trim)
            .collect();
        assert_eq!(cells[..4], ["put", "1.0 MiB", "dense", "3"]);
        assert_eq!(cells.last(), Some(&"0"));
        assert_eq!(tables("Nothing", &[]), "");
    }

    #[test]
    fn quantities_have_three_digits() {
        assert_eq!(span(0.000_092_34), "92.3 µs");
        assert_eq!(span(1.5), "1.50 s");
        assert_eq!(span(0.0), "0 ns");
        assert_eq!(speed(9.876e9), "9.88 GB");
        assert_eq!(speed(12.0), "12 B");
    }
}
