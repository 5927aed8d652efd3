//! The pictures: what is written into them, and where.

use super::bars::{self, Bar};
use super::curves::{self, Axes, Curve};
use super::{Scale, escape};
use crate::bench_report::statistics::Estimate;

fn bar(name: &str, median: f64) -> Bar {
    Bar {
        name: name.into(),
        value: Estimate {
            low: median * 0.9,
            median,
            high: median * 1.1,
        },
        group: 0,
    }
}

fn curve(name: &str, points: &[(f64, f64)]) -> Curve {
    Curve {
        name: name.into(),
        points: points.to_vec(),
        dashed: false,
    }
}

const AXES: Axes<'static> = Axes {
    across: "rules",
    up: "us",
    scale: Scale::Logarithmic,
};

#[test]
fn what_xml_would_read_is_escaped() {
    assert_eq!(escape("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;");
    let svg = bars::draw("1 < 2", "us & more", &[bar("<script>", 1.0)]);
    assert!(!svg.contains("<script>") && svg.contains("1 &lt; 2") && svg.contains("us &amp; more"));
    assert!(
        curves::draw("t", AXES, &[curve("a<b", &[(1.0, 1.0), (10.0, 5.0)])]).contains("a&lt;b")
    );
}

#[test]
fn a_bar_twice_as_large_is_twice_as_long() {
    let svg = bars::draw("t", "us", &[bar("one", 2.0), bar("two", 4.0)]);
    let lengths: Vec<f64> = svg
        .lines()
        .filter(|line| line.starts_with("<rect x="))
        .map(|line| {
            line.split("width=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert!((lengths[1] / lengths[0] - 2.0).abs() < 0.01, "{lengths:?}");
}

#[test]
fn what_no_logarithm_has_is_left_out() {
    let svg = curves::draw(
        "t",
        AXES,
        &[curve("a", &[(10.0, -1.0), (100.0, 3.0), (1000.0, 30.0)])],
    );
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert!(!curves::draw("t", AXES, &[]).contains("NaN"));
}

#[test]
fn names_of_curves_do_not_overlap_and_are_in_the_frame() {
    let together: Vec<Curve> = ["a", "b", "c"]
        .map(|name| curve(name, &[(1.0, 1.0), (10.0, 1.0)]))
        .into_iter()
        .chain([curve("d", &[(10.0, 90.0)])])
        .collect();
    let svg = curves::draw("t", AXES, &together);
    let names = svg.lines().filter(|line| {
        ["a", "b", "c", "d"]
            .iter()
            .any(|name| line.ends_with(&format!(">{name}</text>")))
    });
    let mut heights: Vec<f64> = names
        .map(|line| {
            line.split(" y=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    heights.sort_by(f64::total_cmp);
    assert_eq!(heights.len(), 4);
    assert!(
        heights.windows(2).all(|pair| pair[1] - pair[0] >= 15.9),
        "{heights:?}"
    );
    assert!(heights[3] <= 345.0, "{heights:?}");
}

#[test]
fn scales_enclose_their_values_in_round_ones() {
    assert_eq!(Scale::Linear.ticks(0.0, 19.0), [0.0, 5.0, 10.0, 15.0, 20.0]);
    assert_eq!(
        Scale::Logarithmic.ticks(3.0, 700.0),
        [1.0, 10.0, 100.0, 1000.0]
    );
    assert_eq!(Scale::Logarithmic.ticks(1.0, 1.0), [1.0, 10.0]);
    assert!((Scale::Logarithmic.place(10.0, 1.0, 100.0) - 0.5).abs() < 1e-9);
}

#[test]
fn both_modes_of_a_page_have_their_colours() {
    let svg = bars::draw("t", "us", &[bar("one", 2.0)]);
    let (light, dark) = svg.split_once("prefers-color-scheme: dark").unwrap();
    assert!(
        light.contains(".page { fill: #ffffff; }") && dark.contains(".page { fill: #0d1117; }")
    );
    assert!(dark.contains("<rect class=\"page\""));
}
