//! What a plot has whatever its data: a title, intervals, both colours, and nothing that overlaps.

use super::axis::{Axis, Scale, mark, round_step};
use super::curves::{self, CrossingMark, Curve, Intervals, Point};
use super::rows::{self, Names, Row, Shape};
use super::sheet::{Marker, Sheet, balance, wrap};
use super::theme::{Ink, contrast, style_sheet};
use super::{draw_all, folder};
use crate::bench_report::statistics::Estimate;

fn between(low: f64, median: f64, high: f64) -> Estimate {
    Estimate { low, median, high }
}

fn bars(values: &[f64]) -> String {
    let row = |value: &f64| Row {
        name: "<a & b>".to_owned(),
        shapes: vec![Shape::Bar {
            ink: Ink::Customs,
            value: between(value * 0.9, *value, value * 1.1),
        }],
        figures: "1".to_owned(),
    };
    let rows: Vec<Row> = values.iter().map(row).collect();
    let sheet = Sheet {
        title: "1 < 2".to_owned(),
        description: vec!["a & b".to_owned()],
        height: rows::height(rows.len(), Names::Above),
        ..Sheet::default()
    };
    let axis = Axis::from_zero("µs", 5.0);
    sheet
        .draw(|area| rows::draw(area, &axis, Names::Above, 50, &rows))
        .unwrap()
}

/// Returns a number in each line that has both a text and an attribute.
fn numbers(svg: &str, of: &str, attribute: &str) -> Vec<f64> {
    let value = |line: &str| {
        let (_, rest) = line.split_once(&format!(" {attribute}=\""))?;
        rest.split('"').next()?.parse().ok()
    };
    svg.lines()
        .filter(|line| line.contains(of))
        .filter_map(value)
        .collect()
}

#[test]
fn a_bar_twice_as_large_is_twice_as_long() {
    let svg = bars(&[2.0, 4.0]);
    let lengths = numbers(&svg, "fill=\"#0969DA\"", "width");
    assert!((lengths[1] / lengths[0] - 2.0).abs() < 0.02, "{lengths:?}");
}

#[test]
fn what_xml_would_read_is_escaped() {
    let svg = bars(&[1.0]);
    assert!(svg.contains("<title id=\"title\">1 &lt; 2</title>"));
    assert!(svg.contains("<desc id=\"description\">a &amp; b</desc>"));
    assert!(svg.contains("&lt;a &amp; b&gt;"));
}

#[test]
fn a_crossing_has_a_ring_and_its_size() {
    let curve = Curve {
        name: "a".to_owned(),
        ink: Ink::RbacByHost,
        dashed: false,
        marker: Some(Marker::Triangle),
        intervals: Intervals::Bars,
        points: [(10.0, 1.0), (100.0, 100.0)]
            .map(|(x, y)| Point {
                x,
                y: between(y * 0.8, y, y * 1.2),
                hollow: false,
            })
            .to_vec(),
    };
    let crossing = CrossingMark {
        x: 30.0,
        y: 10.0,
        label: "30 policies".to_owned(),
        ink: Ink::RbacByHost,
    };
    let across = Axis::with_marks("rules", Scale::Logarithmic, vec![10.0, 100.0]);
    let up = Axis::powers("µs", 0.8, 120.0);
    let sheet = Sheet {
        height: 300,
        ..Sheet::default()
    };
    let svg = sheet
        .draw(|area| curves::draw(area, (&across, &up), &[curve], &[crossing]))
        .unwrap();
    assert!(svg.contains("30 policies") && svg.contains("stroke=\"#1F2328\""));
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn scales_enclose_their_values_in_round_ones() {
    assert_eq!(
        Axis::from_zero("", 19.0).marks,
        [0.0, 5.0, 10.0, 15.0, 20.0]
    );
    assert_eq!(
        Axis::powers("", 3.0, 700.0).marks,
        [1.0, 10.0, 100.0, 1000.0]
    );
    assert_eq!(Axis::powers("", 1.0, 1.0).marks, [1.0, 10.0]);
    assert_eq!([0.7, 1.0, 3.0, 11.0].map(round_step), [1.0, 1.0, 5.0, 20.0]);
    assert_eq!(
        [0.001, 2.5, 250.0, 10_000.0].map(mark),
        ["0.001", "2.5", "250", "10,000"]
    );
}

#[test]
fn lines_are_broken_between_words() {
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("", 7), Vec::<String>::new());
    assert_eq!(wrap("in 20 µs, or", 5), ["in", "20 µs,", "or"]);
    assert_eq!(wrap("one two three four", 14), ["one two three", "four"]);
    assert_eq!(balance("one two three four", 14), ["one two", "three four"]);
}

/// What is written must have 4.5, and what is drawn 3, as WCAG 2 asks.
#[test]
fn inks_can_be_read_on_both_pages() {
    let (light_page, dark_page) = Ink::Page.pair();
    let mut lights = Vec::new();
    for ink in Ink::ALL {
        let (light, dark) = ink.pair();
        assert!(
            !lights.contains(&light),
            "{ink:?} has the colour of another"
        );
        lights.push(light);
        let least = match ink {
            Ink::Page | Ink::Grid => continue,
            Ink::Text | Ink::Muted => 4.5,
            _ => 3.0,
        };
        let contrasts = [contrast(light, light_page), contrast(dark, dark_page)];
        assert!(
            contrasts.iter().all(|it| *it >= least),
            "{ink:?} {contrasts:?}"
        );
    }
    assert!((contrast(0xffffff, 0) - 21.0).abs() < 0.01);
}

#[test]
fn one_server_has_one_ink() {
    for (name, ink) in [
        ("customs, 10 rules, audit off", Ink::Customs),
        ("earlier customs, 10 rules, audit off", Ink::EarlierCustoms),
        ("asking customs, 100,000 rules", Ink::Customs),
        ("tonic with prost", Ink::TonicProst),
        ("asking the floor", Ink::TonicProst),
        ("tonic with prost, work-stealing", Ink::TonicStealing),
        ("hyper", Ink::Hyper),
    ] {
        assert_eq!(Ink::of_server(name), ink, "{name}");
    }
}

#[test]
fn every_plot_of_the_pages_has_both_colours_and_words() {
    let style = style_sheet();
    for plot in draw_all(&folder()).unwrap() {
        let (file, svg) = (plot.file, &plot.svg);
        assert!(svg.contains(&style), "{file}");
        assert!(svg.contains("<desc id=\"description\">") && !plot.shows.is_empty());
        assert!(
            svg.contains("Data: "),
            "{file} does not say where its data is"
        );
        let says = ["Whiskers: ", "Bands: ", "no interval"];
        assert!(
            says.iter().any(|it| svg.contains(it)),
            "{file} has no intervals"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{file}");
        for colour in svg.split("=\"#").skip(1) {
            let colour = u32::from_str_radix(colour.split('"').next().unwrap(), 16).unwrap();
            let is_known = Ink::ALL.iter().any(|ink| ink.pair().0 == colour);
            assert!(is_known, "{file}: #{colour:06x} is no ink");
        }
    }
}
