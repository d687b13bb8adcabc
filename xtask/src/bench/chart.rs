//! Charts as SVG, with both axes logarithmic, readable on light and dark pages.

use std::fmt::Write;

/// Where lines are drawn, in the picture's units.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 580.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 360.0;

/// The least that ends of lines are apart, so that their names can be read.
const NAME_HEIGHT: f64 = 17.0;

const HEAD: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 420" role="img" font-family="system-ui, sans-serif" font-size="14">
<style>
  svg { --paper: #fff; --ink: #1f2328; --grid: #d8dee4; --one: #0969da; --two: #1a7f37; --three: #bc4c00; --bound: #6e7781 }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #e6edf3; --grid: #30363d; --one: #58a6ff; --two: #3fb950; --three: #f0883e; --bound: #8b949e }
  }
  text { fill: var(--ink) }
  .grid { stroke: var(--grid) }
  .line { fill: none; stroke-width: 2.5 }
  .bound { stroke-dasharray: 6 4 }
</style>
"#;

/// One picture.
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// One line of it.
pub(crate) struct Line {
    pub(crate) name: String,
    /// All above zero, from left to right.
    pub(crate) points: Vec<(f64, f64)>,
    /// A limit that others come near to, dashed.
    pub(crate) is_bound: bool,
}

/// Powers of ten from one to another, over a length of the picture.
struct Axis {
    powers: std::ops::RangeInclusive<i32>,
    from: f64,
    to: f64,
}

impl Axis {
    /// One that has room for all values.
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (low, high) = (low.min(value.log10()), high.max(value.log10()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "powers of ten are few")]
        let (low, high) = (low.floor() as i32, high.ceil() as i32);
        Self { powers: low..=high.max(low + 1), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let (low, high) = (f64::from(*self.powers.start()), f64::from(*self.powers.end()));
        self.from + (value.log10() - low) / (high - low) * (self.to - self.from)
    }

    fn marks(&self) -> impl Iterator<Item = (f64, String)> {
        self.powers.clone().map(|power| {
            let value = 10_f64.powi(power);
            let decimals = usize::try_from(-power).unwrap_or(0);
            let digits = format!("{value:.decimals$}");
            let name = if power > 0 { crate::document::set_apart(&digits) } else { digits };
            (self.place(value), name)
        })
    }
}

impl Chart {
    /// As a file.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::around(points().map(|point| point.0), LEFT, RIGHT);
        let y = Axis::around(points().map(|point| point.1), BOTTOM, TOP);
        let mut svg = HEAD.to_owned();
        let mut add = |line: String| writeln!(svg, "{line}").expect("a string takes all");
        let title = escaped(self.title);
        add(format!("<title>{title}</title>"));
        add(r#"<rect width="720" height="420" fill="var(--paper)"/>"#.to_owned());
        add(format!(
            r#"<text x="{LEFT}" y="28" font-size="17" font-weight="600">{title}, {}</text>"#,
            escaped(self.y)
        ));
        for (place, name) in x.marks() {
            add(format!(r#"<path class="grid" d="M{place:.1} {TOP}V{BOTTOM}"/>"#));
            let below = BOTTOM + 20.0;
            add(format!(r#"<text x="{place:.1}" y="{below}" text-anchor="middle">{name}</text>"#));
        }
        for (place, name) in y.marks() {
            add(format!(r#"<path class="grid" d="M{LEFT} {place:.1}H{RIGHT}"/>"#));
            let (left, base) = (LEFT - 8.0, place + 5.0);
            add(format!(r#"<text x="{left}" y="{base:.1}" text-anchor="end">{name}</text>"#));
        }
        let (middle, below) = (f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0);
        add(format!(
            r#"<text x="{middle}" y="{below}" text-anchor="middle">{}</text>"#,
            escaped(self.x)
        ));
        let drawn: Vec<&Line> = self.lines.iter().filter(|line| !line.points.is_empty()).collect();
        let ends: Vec<f64> =
            drawn.iter().filter_map(|line| Some(y.place(line.points.last()?.1))).collect();
        for (line, name_at) in drawn.iter().zip(spread(&ends)) {
            let place = self.lines.iter().position(|other| std::ptr::eq(other, *line));
            let colour = match (line.is_bound, place) {
                (true, _) => "bound",
                (_, Some(0)) => "one",
                (_, Some(1)) => "two",
                _ => "three",
            };
            let class = if line.is_bound { "line bound" } else { "line" };
            let at: Vec<(f64, f64)> =
                line.points.iter().map(|(across, up)| (x.place(*across), y.place(*up))).collect();
            let path: Vec<String> =
                at.iter().map(|(across, down)| format!("{across:.1} {down:.1}")).collect();
            let path = path.join("L");
            add(format!(r#"<path class="{class}" stroke="var(--{colour})" d="M{path}"/>"#));
            for (across, down) in at.iter().filter(|_| !line.is_bound) {
                add(format!(
                    r#"<circle cx="{across:.1}" cy="{down:.1}" r="4" fill="var(--{colour})"/>"#
                ));
            }
            let (right, base) = (RIGHT + 12.0, name_at + 5.0);
            let name = escaped(&line.name);
            add(format!(
                r#"<text x="{right}" y="{base:.1}" style="fill: var(--{colour})">{name}</text>"#
            ));
        }
        svg + "</svg>\n"
    }
}

/// The same places, moved down where they are too near to each other.
fn spread(places: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_unstable_by(|one, other| places[*one].total_cmp(&places[*other]));
    let mut apart = places.to_vec();
    let mut lowest = f64::NEG_INFINITY;
    for index in order {
        apart[index] = apart[index].max(lowest + NAME_HEIGHT);
        lowest = apart[index];
    }
    apart
}

/// A text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped(r#"a < "b" & c"#), "a &lt; &quot;b&quot; &amp; c");
        let line = Line { name: "<&>".to_owned(), points: vec![(1.0, 1.0)], is_bound: false };
        let chart = Chart { title: "a & b", x: "<", y: ">", lines: vec![line] };
        let svg = chart.svg();
        assert!(svg.contains(">&lt;&amp;&gt;</text>") && svg.contains("<title>a &amp; b</title>"));
    }

    #[test]
    fn axes_have_room_for_all_values() {
        let axis = Axis::around([20.0, 5000.0].into_iter(), 0.0, 300.0);
        let marks: Vec<(f64, String)> = axis.marks().collect();
        let names: Vec<&str> = marks.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["10", "100", "1,000", "10,000"]);
        assert!((axis.place(100.0) - 100.0).abs() < 1e-9);
        let one = Axis::around([0.01].into_iter(), 0.0, 1.0);
        assert_eq!(one.marks().map(|(_, name)| name).collect::<Vec<_>>(), ["0.01", "0.1"]);
    }

    #[test]
    fn names_do_not_cover_each_other() {
        assert_eq!(spread(&[100.0, 90.0, 300.0]), [107.0, 90.0, 300.0]);
    }
}
