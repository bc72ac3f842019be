//! Throughput against latency, as a drawing (SVG).

use super::report::{Report, Run};
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 55.0;

/// So many lines across, in either direction.
const GRID: u32 = 5;

/// One line of the drawing: its name, its colour, and which time it shows.
type Line = (&'static str, &'static str, fn(&Run) -> u64);

const LINES: [Line; 2] =
    [("p50", "#1f6f8b", |run| run.latency_us.p50), ("p99", "#c8553d", |run| run.latency_us.p99)];

/// From figures to places in the drawing. Times are drawn by their logarithm.
struct Scale {
    most: f64,
    low: f64,
    high: f64,
}

impl Scale {
    fn of(runs: &[Run]) -> Scale {
        let times = || runs.iter().flat_map(|run| LINES.map(|(_, _, of)| ms(of(run))));
        let low = times().fold(f64::INFINITY, f64::min).log10().floor();
        let high = times().fold(0.0, f64::max).log10().ceil();
        let most = runs.iter().map(|run| run.throughput).fold(1.0, f64::max);
        let step = 10f64.powf(most.log10().floor()) / 2.0;
        Scale { most: (most / step).ceil() * step, low, high: high.max(low + 1.0) }
    }

    fn x(&self, throughput: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * throughput / self.most
    }

    fn y(&self, ms: f64) -> f64 {
        let share = (ms.log10() - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
    }
}

fn ms(micros: u64) -> f64 {
    micros.max(1) as f64 / 1e3
}

/// The drawing.
pub(super) fn draw(report: &Report) -> String {
    let scale = Scale::of(&report.runs);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>\n",
        report.title()
    );
    grid(&mut svg, &scale);
    for (index, (name, colour, of)) in LINES.into_iter().enumerate() {
        let points: Vec<(f64, f64, u32)> = report
            .runs
            .iter()
            .map(|run| (scale.x(run.throughput), scale.y(ms(of(run))), run.clients))
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
        put(
            &mut svg,
            format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            ),
        );
        for (x, y, clients) in points {
            put(
                &mut svg,
                format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"),
            );
            put(
                &mut svg,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{clients}</text>",
                    x + 5.0,
                    y - 5.0
                ),
            );
        }
        let x = WIDTH - RIGHT - 90.0 + 45.0 * index as f64;
        put(&mut svg, format_args!("<text x=\"{x}\" y=\"24\" fill=\"{colour}\">{name}</text>"));
    }
    svg += "</svg>\n";
    svg
}

fn grid(svg: &mut String, scale: &Scale) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for step in 0..=GRID {
        let throughput = scale.most * f64::from(step) / f64::from(GRID);
        let x = scale.x(throughput);
        put(svg, format_args!("<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>"));
        let below = bottom + 18.0;
        put(
            svg,
            format_args!(
                "<text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{throughput:.0}</text>"
            ),
        );
    }
    let mut power = scale.low;
    while power <= scale.high {
        let y = scale.y(10f64.powf(power));
        put(svg, format_args!("<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>"));
        let (x, value) = (LEFT - 6.0, 10f64.powf(power));
        put(svg, format_args!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{value}</text>"));
        power += 1.0;
    }
    let (middle, low) = ((LEFT + right) / 2.0, HEIGHT - 12.0);
    put(
        svg,
        format_args!(
            "<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">requests/s, at the number of \
         clients written beside each point</text>"
        ),
    );
    put(
        svg,
        format_args!(
            "<text transform=\"translate(18 {:.0}) rotate(-90)\" text-anchor=\"middle\">ms</text>",
            (TOP + bottom) / 2.0
        ),
    );
}

fn put(svg: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(svg, "{line}").expect("a string takes everything");
}
