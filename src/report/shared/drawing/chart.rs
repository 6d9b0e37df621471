//! Lines with marks in panels side by side, with one legend, as SVG for light and dark pages.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;

/// Colours that colour-blind people tell apart, readable on white and on black, each with a
/// brighter one for a dark page. Marks differ too.
const SERIES: [(u32, u32); 8] = [
    (0x1f7fc0, 0x56a9e0),
    (0xcf5f1c, 0xf28a4f),
    (0x0f9068, 0x35c79c),
    (0xb3609a, 0xe29ac8),
    (0x7d63cf, 0xa992f2),
    (0xa97a10, 0xe0aa3e),
    (0x7b7b7b, 0xb0b0b0),
    (0x2b93a8, 0x6fd0e3),
];
/// For things in an order: from the smallest N to the largest.
const ORDERED: [(u32, u32); 6] = [
    (0x766bd6, 0x9a90f0),
    (0xa955c2, 0xd084e8),
    (0xc9447f, 0xf07fb0),
    (0xcd6038, 0xf2906b),
    (0xa87a18, 0xe6b84a),
    (0x7a951c, 0xb7d04a),
];
/// Text, axes and grid.
const INK: (u32, u32) = (0x6e7782, 0xb4bdc7);
const HEIGHT: u32 = 380;
const LEGEND_LINE: u32 = 24;
const FONT: &str = "sans-serif";

/// x, y, and the low and the high end of an error bar.
pub type Point = (f64, f64, Option<(f64, f64)>);

/// A line of a figure.
pub struct Line {
    pub name: String,
    /// Index of colour and mark.
    pub style: usize,
    /// Whether the colour comes from the ordered scale.
    pub ordered: bool,
    pub marks: bool,
    pub points: Vec<Point>,
    /// Points that stand out.
    pub big: Vec<(f64, f64)>,
}

impl Line {
    /// A line with marks, without error bars.
    pub fn new(name: impl Into<String>, style: usize, points: Vec<(f64, f64)>) -> Self {
        let points = points.into_iter().map(|(x, y)| (x, y, None)).collect();
        let (name, big) = (name.into(), vec![]);
        Self { name, style, ordered: false, marks: true, points, big }
    }

    fn colour(&self) -> RGBColor {
        let palette: &[(u32, u32)] = if self.ordered { &ORDERED } else { &SERIES };
        rgb(palette[self.style % palette.len()].0)
    }
}

/// One coordinate system.
pub struct Panel {
    pub x: Axis,
    pub x_label: String,
    pub y: Axis,
    pub y_label: String,
    /// A horizontal line to compare with.
    pub zero: Option<f64>,
    pub lines: Vec<Line>,
}

/// Draws panels side by side, with a legend of the lines' names.
///
/// # Errors
/// Those of the drawing crate.
pub fn draw(panels: &[Panel], title: &str) -> Result<String> {
    let mut names: Vec<&Line> = vec![];
    for line in panels.iter().flat_map(|panel| &panel.lines) {
        if !line.name.is_empty() && names.iter().all(|known| known.name != line.name) {
            names.push(line);
        }
    }
    let width = if panels.len() == 1 { 640 } else { 460 * panels.len() as u32 };
    let places = legend_places(&names, width as i32);
    let rows = places.iter().map(|(_, row)| row + 1).max().unwrap_or(0);
    let legend = LEGEND_LINE * rows as u32 + 6;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, HEIGHT + legend)).into_drawing_area();
        let (top, rest) = root.split_vertically(legend);
        for (line, (x, row)) in names.iter().zip(places) {
            let y = row as i32 * LEGEND_LINE as i32 + 15;
            draw_sample(&top, line, x, y).map_err(|error| anyhow!("{error}"))?;
        }
        for (area, panel) in rest.split_evenly((1, panels.len())).iter().zip(panels) {
            draw_panel(area, panel).map_err(|error| anyhow!("{error}"))?;
        }
        root.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(named(&svg, title))
}

/// (x, row) of each legend entry.
fn legend_places(names: &[&Line], width: i32) -> Vec<(i32, usize)> {
    let (mut x, mut row) = (62, 0);
    let mut places = vec![];
    for line in names {
        let needs = 44 + (line.name.chars().count() as f64 * 7.2) as i32;
        if x + needs > width && x > 62 {
            (x, row) = (62, row + 1);
        }
        places.push((x, row));
        x += needs + 8;
    }
    places
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_sample(area: &Area, line: &Line, x: i32, y: i32) -> Drawn {
    let colour = line.colour();
    area.draw(&PathElement::new(vec![(x, y), (x + 26, y)], colour.stroke_width(2)))?;
    if line.marks {
        area.draw(&(EmptyElement::at((x + 13, y)) + mark(line.style, colour)))?;
    }
    let style = text(13.0).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(line.name.clone(), (x + 33, y), style))?;
    Ok(())
}

fn draw_panel(area: &Area, panel: &Panel) -> Drawn {
    let ink = rgb(INK.0);
    let mut builder = ChartBuilder::on(area);
    builder.margin(6).margin_right(18).x_label_area_size(46).y_label_area_size(54);
    let mut chart = builder.build_cartesian_2d(panel.x.clone(), panel.y.clone())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(ink.mix(0.25))
        .axis_style(ink)
        .label_style(text(12.0))
        .axis_desc_style(text(13.0))
        .x_desc(&panel.x_label)
        .y_desc(&panel.y_label)
        .x_labels(panel_labels(&panel.x))
        .draw()?;
    let range = plotters::coord::ranged1d::Ranged::range(&panel.x);
    if let Some(zero) = panel.zero {
        let ends = vec![(range.start, zero), (range.end, zero)];
        chart.draw_series([PathElement::new(ends, ink.stroke_width(1))])?;
    }
    for line in &panel.lines {
        let colour = line.colour();
        let points = || line.points.iter().map(|(x, y, _)| (*x, *y));
        let stroke = colour.stroke_width(2);
        chart.draw_series([PathElement::new(points().collect::<Vec<_>>(), stroke)])?;
        let bars = line.points.iter().filter_map(|(x, _, bar)| Some((*x, (*bar)?)));
        chart.draw_series(bars.map(|(x, (low, high))| {
            PathElement::new(vec![(x, low), (x, high)], colour.mix(0.7).stroke_width(2))
        }))?;
        if line.marks {
            chart
                .draw_series(points().map(|at| EmptyElement::at(at) + mark(line.style, colour)))?;
        }
        chart.draw_series(
            line.big
                .iter()
                .map(|&at| EmptyElement::at(at) + Circle::new((0, 0), 8, colour.stroke_width(2))),
        )?;
    }
    Ok(())
}

/// Plotters leaves ticks out beyond this many.
fn panel_labels(axis: &Axis) -> usize {
    plotters::coord::ranged1d::Ranged::key_points(axis, 100).len() + 1
}

/// The mark of a style, around the point where it stands.
fn mark(style: usize, colour: RGBColor) -> Polygon<(i32, i32)> {
    let corners: &[(i32, i32)] = match style % 6 {
        0 => &[(-4, -2), (-2, -4), (2, -4), (4, -2), (4, 2), (2, 4), (-2, 4), (-4, 2)],
        1 => &[(0, -5), (5, 4), (-5, 4)],
        2 => &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
        3 => &[(0, -6), (6, 0), (0, 6), (-6, 0)],
        4 => &[(-5, -4), (5, -4), (0, 5)],
        _ => &[
            (-2, -5),
            (2, -5),
            (2, -2),
            (5, -2),
            (5, 2),
            (2, 2),
            (2, 5),
            (-2, 5),
            (-2, 2),
            (-5, 2),
            (-5, -2),
            (-2, -2),
        ],
    };
    Polygon::new(corners.to_vec(), colour.filled())
}

fn rgb(hex: u32) -> RGBColor {
    let [_, red, green, blue] = hex.to_be_bytes();
    RGBColor(red, green, blue)
}

fn text(size: f64) -> TextStyle<'static> {
    (FONT, size).into_font().color(&rgb(INK.0))
}

/// Gives the drawing a class and a name that is read aloud.
fn named(svg: &str, title: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let svg = svg.replacen("<svg ", "<svg class=\"plot\" role=\"img\" ", 1);
    svg.replacen('>', &format!(">\n<title>{title}</title>"), 1)
}

/// The style sheet of a page that turns dark: it changes the colours of drawings within it.
/// (A drawing in a file of its own keeps its colours, since it cannot know what it stands on.)
pub fn dark_sheet() -> String {
    let mut sheet = String::from("@media (prefers-color-scheme: dark) {\n");
    for (light, dark) in SERIES.iter().chain(&ORDERED).chain([&INK]) {
        for key in ["fill", "stroke"] {
            sheet += &format!(".plot [{key}=\"#{light:06X}\"] {{ {key}: #{dark:06x}; }}\n");
        }
    }
    sheet + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_names_its_lines_and_dresses_for_dark_pages() {
        let panel = || Panel {
            x: Axis::log(&[20.0, 50.0]),
            x_label: "N".into(),
            y: Axis::linear([1.0, 2.0]),
            y_label: "Recall, %".into(),
            zero: Some(1.5),
            lines: vec![Line::new("hinge & co", 1, vec![(20.0, 1.0), (50.0, 2.0)])],
        };
        let svg = draw(&[panel(), panel()], "a < b").unwrap();
        assert_eq!(svg.matches("hinge &amp; co").count(), 1, "{svg}");
        assert!(svg.contains("<title>a &lt; b</title>"));
        assert!(svg.contains("stroke=\"#CF5F1C\""), "{svg}");
        assert!(dark_sheet().contains(".plot [stroke=\"#CF5F1C\"] { stroke: #f28a4f; }"));
        assert!(svg.contains("Recall, %") && svg.ends_with("</svg>\n"));
    }
}
