//! How are the curves drawn? As SVG, in panels of two columns, both axes logarithmic.

use std::fmt::Write as _;

/// The size of a panel.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 310.0;

/// How many panels are beside each other.
const COLUMNS: usize = 2;

/// What is left around the curves for what is written there.
const MARGIN: f64 = 55.0;

/// The width of a letter of a legend, about.
const LETTER: f64 = 6.0;

const COLOURS: [&str; 5] = ["#0b6e4f", "#c84630", "#3d5a80", "#8f6593", "#b08900"];

/// The curves of one case.
pub(crate) struct Panel {
    /// What goes up.
    pub(crate) title: String,
    /// What goes across.
    pub(crate) across: String,
    pub(crate) curves: Vec<Curve>,
}

/// What one contender reached: a value for every size.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Draws all panels.
pub(crate) fn draw(panels: &[Panel]) -> String {
    let width = WIDTH * COLUMNS as f64;
    let height = HEIGHT * panels.len().div_ceil(COLUMNS) as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let (left, top) = (index % COLUMNS, index / COLUMNS);
        let (left, top) = (WIDTH * left as f64, HEIGHT * top as f64);
        let _infallible = writeln!(out, "<g transform=\"translate({left} {top})\">");
        panel.draw(&mut out);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

impl Panel {
    fn draw(&self, out: &mut String) {
        let points = || self.curves.iter().flat_map(|curve| curve.points.iter());
        let across = Axis::over(points().map(|point| point.0), MARGIN, WIDTH - MARGIN / 2.0);
        let up = Axis::over(points().map(|point| point.1), HEIGHT - MARGIN, MARGIN);
        let size = "font-size=\"13\"";
        let _infallible = writeln!(
            out,
            "<text x=\"{MARGIN}\" y=\"20\" {size}>{}</text>",
            self.title
        );
        for (value, x) in across.ticks() {
            line(out, [x, MARGIN, x, HEIGHT - MARGIN]);
            text(
                out,
                [x, HEIGHT - MARGIN + 16.0],
                "middle",
                &value.to_string(),
            );
        }
        for (value, y) in up.ticks() {
            line(out, [MARGIN, y, WIDTH - MARGIN / 2.0, y]);
            text(out, [MARGIN - 6.0, y + 4.0], "end", &value.to_string());
        }
        text(out, [WIDTH / 2.0, HEIGHT - 20.0], "middle", &self.across);
        let mut legend = MARGIN;
        for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
            curve.draw(out, &across, &up, colour);
            let _infallible = writeln!(
                out,
                "<text x=\"{legend}\" y=\"40\" fill=\"{colour}\">{}</text>",
                curve.name
            );
            legend += LETTER * (curve.name.len() + 3) as f64;
        }
    }
}

impl Curve {
    fn draw(&self, out: &mut String, across: &Axis, up: &Axis, colour: &str) {
        let points = self.points.iter();
        let path: Vec<_> = points
            .map(|&(x, y)| format!("{:.1},{:.1}", across.place(x), up.place(y)))
            .collect();
        let path = path.join(" ");
        let _infallible = writeln!(
            out,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        for &(x, y) in &self.points {
            let (x, y) = (across.place(x), up.place(y));
            let _infallible = writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
            );
        }
    }
}

fn text(out: &mut String, [x, y]: [f64; 2], anchor: &str, text: &str) {
    let _infallible = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

fn line(out: &mut String, [x1, y1, x2, y2]: [f64; 4]) {
    let _infallible = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>"
    );
}

/// A logarithmic axis from one place on the paper to another.
struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis over whole powers of ten that hold all `values`.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| *value > 0.0) {
            least = least.min(value.log10().floor());
            most = most.max(value.log10().ceil());
        }
        if !least.is_finite() {
            (least, most) = (0.0, 1.0);
        }
        let most = most.max(least + 1.0);
        Self {
            least,
            most,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).log10() - self.least) / (self.most - self.least);
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = (f64, f64)> {
        (self.least as i32..=self.most as i32).map(|power| {
            let value = 10_f64.powi(power);
            (value, self.place(value))
        })
    }
}
