//! The table of all settings, for `docs/serve.md`: written from what clap knows, so that the page
//! says what the program does.

use std::fmt::Write;
use std::ops::Range;

use clap::{Arg, Command};

use crate::arguments;
use crate::config_file::NOT_IN_FILES;

/// Between these lines of a page stands what is generated.
const MARKS: (&str, &str) = (
    "<!-- settings: written by `cargo run -p tq-cli --example write_settings` -->",
    "<!-- end of settings -->",
);

/// `page` with the settings as they are now; `None` where it has no place for them.
#[must_use]
pub fn renewed(page: &str) -> Option<String> {
    let Range { start, end } = place(page)?;
    Some(format!(
        "{}\n\n{}\n{}",
        &page[..start],
        settings(),
        &page[end..]
    ))
}

fn place(page: &str) -> Option<Range<usize>> {
    let start = page.find(MARKS.0)? + MARKS.0.len();
    let end = start + page[start..].find(MARKS.1)?;
    Some(start..end)
}

/// The settings of `tq serve` under their headings.
fn settings() -> String {
    let program = arguments::command();
    let mut text = String::new();
    let Some(serve) = program.find_subcommand("serve") else {
        return text;
    };
    for heading in headings(serve) {
        let _ = writeln!(text, "### {}\n", heading.unwrap_or("General"));
        text +=
            "| Argument | Environment, key in a file | Default | Meaning |\n|---|---|---|---|\n";
        let under = |arg: &&Arg| arg.get_help_heading() == heading;
        for arg in shown(serve).filter(under) {
            let _ = writeln!(text, "{}", row(arg));
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

fn shown(serve: &Command) -> impl Iterator<Item = &Arg> {
    serve
        .get_arguments()
        .filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
}

fn headings(serve: &Command) -> Vec<Option<&str>> {
    let mut headings = Vec::new();
    for arg in shown(serve) {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    headings
}

fn row(arg: &Arg) -> String {
    let id = arg.get_id().as_str();
    let names: Vec<_> = std::iter::once(arg.get_long().unwrap_or(id))
        .chain(arg.get_visible_aliases().unwrap_or_default())
        .map(|name| format!("`--{name}`"))
        .collect();
    let mut places = Vec::new();
    if let Some(variable) = arg.get_env() {
        places.push(format!("`{}`", variable.to_string_lossy()));
    }
    if !NOT_IN_FILES.contains(&id) {
        places.push(format!("`{id}`"));
    }
    let default: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    format!(
        "| {} | {} | {} | {} |",
        names.join(", "),
        places.join(", "),
        default.join(" "),
        meaning(arg)
    )
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut text = help.map(ToString::to_string).unwrap_or_default();
    let choices: Vec<_> = arg
        .get_possible_values()
        .iter()
        // What may be written for true and false needs no list.
        .filter(|_| {
            arg.get_value_names()
                .is_none_or(|names| names != ["true|false"])
        })
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    // clap takes the full stop from a help of one sentence.
    if !text.ends_with('.') {
        text.push('.');
    }
    if !choices.is_empty() {
        let _ = write!(text, " One of {}.", choices.join(", "));
    }
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_renewed_and_nothing_else() {
        let page = format!(
            "before\n{}\nfrom former days\n{}\nafter\n",
            MARKS.0, MARKS.1
        );
        let new = renewed(&page).unwrap();
        assert!(new.starts_with("before\n") && new.ends_with("\nafter\n"));
        assert!(new.contains("`TQ_MEMORY`") && !new.contains("former days"));
        assert_eq!(renewed(&new).unwrap(), new);
        assert_eq!(renewed("no place"), None);
    }
}
