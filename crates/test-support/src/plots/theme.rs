//! The colours, light and dark, and which one a server has in every plot.
//!
//! plotters writes the light colour of an ink. The style of a plot replaces it by the dark one where
//! the reader prefers that. The rule: one ink has one pair of colours, no two inks share a light
//! one, and each pair is readable on its page.

use plotters::style::RGBColor;

/// What is drawn with one pair of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Page,
    Text,
    /// Text of less weight: notes, units.
    Muted,
    Grid,
    Customs,
    /// Another build of customs, which a benchmark was asked to compare.
    EarlierCustoms,
    /// The floor: tonic with prost.
    TonicProst,
    TonicStealing,
    TonicBytes,
    Hyper,
    RbacByNamespace,
    RbacByHost,
    // What is not a server: kinds of changes, faults of a fleet, ways of a change.
    Slate,
    Green,
    Red,
    Brown,
    Olive,
}

impl Ink {
    pub const ALL: [Ink; 17] = [
        Ink::Page,
        Ink::Text,
        Ink::Muted,
        Ink::Grid,
        Ink::Customs,
        Ink::EarlierCustoms,
        Ink::TonicProst,
        Ink::TonicStealing,
        Ink::TonicBytes,
        Ink::Hyper,
        Ink::RbacByNamespace,
        Ink::RbacByHost,
        Ink::Slate,
        Ink::Green,
        Ink::Red,
        Ink::Brown,
        Ink::Olive,
    ];

    /// Returns the colours of the light and the dark page.
    pub const fn pair(self) -> (u32, u32) {
        match self {
            Ink::Page => (0xffffff, 0x0d1117),
            Ink::Text => (0x1f2328, 0xe6edf3),
            Ink::Muted => (0x59636e, 0x9da7b3),
            Ink::Grid => (0xd8dee4, 0x2f353d),
            Ink::Customs => (0x0969da, 0x58a6ff),
            Ink::EarlierCustoms => (0x5b8fc4, 0x9ec7f7),
            Ink::TonicProst => (0xbc4c00, 0xf0883e),
            Ink::TonicStealing => (0x9a6700, 0xd29922),
            Ink::TonicBytes => (0x1b7c83, 0x39c5cf),
            Ink::Hyper => (0x6e7781, 0x8b949e),
            Ink::RbacByNamespace => (0x8250df, 0xbc8cff),
            Ink::RbacByHost => (0xbf3989, 0xf778ba),
            Ink::Slate => (0x424a53, 0xc9d1d9),
            Ink::Green => (0x1a7f37, 0x3fb950),
            Ink::Red => (0xcf222e, 0xff7b72),
            Ink::Brown => (0x7a4419, 0xe0a676),
            Ink::Olive => (0x6b7200, 0xc5d86d),
        }
    }

    /// Returns the ink of a server by its name in the tables of the benchmarks.
    pub fn of_server(name: &str) -> Ink {
        const BEGINNINGS: [(&str, Ink); 8] = [
            ("earlier", Ink::EarlierCustoms),
            ("customs", Ink::Customs),
            ("asking customs", Ink::Customs),
            ("asking the floor", Ink::TonicProst),
            ("tonic with prost, work-stealing", Ink::TonicStealing),
            ("tonic with prost", Ink::TonicProst),
            ("tonic handing over bytes", Ink::TonicBytes),
            ("hyper", Ink::Hyper),
        ];
        let known = BEGINNINGS
            .into_iter()
            .find(|(beginning, _)| name.starts_with(beginning));
        known.map_or(Ink::Slate, |(_, ink)| ink)
    }

    /// Returns the colour that plotters writes.
    pub fn colour(self) -> RGBColor {
        let [_, red, green, blue] = self.pair().0.to_be_bytes();
        RGBColor(red, green, blue)
    }
}

/// Returns the style sheet of a plot.
pub fn style_sheet() -> String {
    let mut style = String::from(
        "text { font-family: system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif; }\n\
         @media (prefers-color-scheme: dark) {\n",
    );
    for ink in Ink::ALL {
        let (light, dark) = ink.pair();
        style.push_str(&format!(
            "[fill=\"#{light:06X}\"] {{ fill: #{dark:06x}; }} [stroke=\"#{light:06X}\"] {{ stroke: #{dark:06x}; }}\n"
        ));
    }
    style.push_str("}\n");
    style
}

/// Returns how much two colours differ in lightness, as WCAG 2 defines it: 1 to 21.
pub fn contrast(one: u32, other: u32) -> f64 {
    let [one, other] = [one, other].map(luminance);
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: u32) -> f64 {
    let [_, red, green, blue] = colour.to_be_bytes();
    let [red, green, blue] = [red, green, blue].map(|channel| {
        let part = f64::from(channel) / 255.0;
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}
