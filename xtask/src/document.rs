//! Documents of which a part is generated: between two lines that say so.

/// The document with a part made anew. The part begins after a line that names `command`.
///
/// # Errors
/// When the document, which is called `file`, has lost its marks.
pub(crate) fn renewed(
    document: &str,
    file: &str,
    command: &str,
    part: &str,
) -> Result<String, String> {
    let begin = format!("<!-- Made by `{command}` -->\n");
    let end = "<!-- To here -->\n";
    let lost = || {
        let (begin, end) = (begin.trim(), end.trim());
        format!("{file} lacks the line {begin} or {end}: put both back around its tables")
    };
    let (before, rest) = document.split_once(&begin).ok_or_else(lost)?;
    let (_, after) = rest.split_once(end).ok_or_else(lost)?;
    Ok(format!("{before}{begin}\n{part}\n{end}{after}"))
}

/// Three digits that say something, and thousands set apart.
pub(crate) fn amount(value: f64) -> String {
    match value {
        1000.0.. => {
            let power = 10_f64.powf(value.log10().floor() - 2.0);
            set_apart(&format!("{:.0}", (value / power).round() * power))
        }
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Digits with thousands set apart.
pub(crate) fn set_apart(digits: &str) -> String {
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_between_the_marks_is_replaced() {
        let document = "a\n<!-- Made by `x` -->\nold\n<!-- To here -->\nb\n";
        let renewed_once = renewed(document, "A.md", "x", "new").unwrap();
        assert_eq!(renewed_once, "a\n<!-- Made by `x` -->\n\nnew\n<!-- To here -->\nb\n");
        assert_eq!(renewed(&renewed_once, "A.md", "x", "new").unwrap(), renewed_once);
        let lost = renewed("# A", "A.md", "x", "new").unwrap_err();
        assert!(lost.contains("A.md lacks the line"), "{lost}");
    }

    #[test]
    fn amounts_have_three_digits() {
        for (value, text) in [
            (0.364, "0.36"),
            (6.024, "6.02"),
            (18.75, "18.8"),
            (152.3, "152"),
            (999.7, "1000"),
            (4654.0, "4,650"),
            (151_123.0, "151,000"),
        ] {
            assert_eq!(amount(value), text);
        }
    }
}
