//! Names beside points, where there is room.

/// Width that one letter of a name takes, and height of its line.
const LETTER: f64 = 6.6;
const LINE: f64 = 13.0;

/// A name as it is placed: its middle, and its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A rectangle: left, right, top, bottom.
type Area = [f64; 4];

/// A straight line from one place to another.
pub(super) type Segment = [(f64, f64); 2];

/// Small squares that cover a line.
fn along(line: &Segment) -> Vec<Area> {
    let [(x1, y1), (x2, y2)] = *line;
    let steps = ((x2 - x1).hypot(y2 - y1) / 3.0).ceil().max(1.0);
    let square = |step: usize| {
        let part = step as f64 / steps;
        let (x, y) = (x1 + part * (x2 - x1), y1 + part * (y2 - y1));
        [x - 1.0, x + 1.0, y - 1.0, y + 1.0]
    };
    (0..=steps as usize).map(square).collect()
}

/// Places a name above, below, beside or aslant of each point, clear of the other names and points and
/// of `lines`, given by their ends, and inside `frame`; a name that fits nowhere is left to the
/// tables.
pub(super) fn place(points: &[(f64, f64, &str)], lines: &[Segment], frame: Area) -> Vec<Label> {
    let mut taken: Vec<Area> =
        points.iter().map(|&(x, y, _)| [x - 6.0, x + 6.0, y - 6.0, y + 6.0]).collect();
    taken.extend(lines.iter().flat_map(along));
    let mut labels = Vec::new();
    for &(x, y, text) in points {
        let half = text.chars().count() as f64 * LETTER / 2.0;
        let side = half + 9.0;
        let offers = [
            (x, y - 10.0),
            (x, y + 18.0),
            (x + side, y + 4.0),
            (x - side, y + 4.0),
            (x + half + 5.0, y + 16.0),
            (x - half - 5.0, y - 8.0),
            (x + half + 5.0, y - 8.0),
            (x - half - 5.0, y + 16.0),
        ];
        let area = |(x, y): &(f64, f64)| [x - half, x + half, y - LINE + 3.0, y + 3.0];
        let fits = |offer: &(f64, f64)| {
            let area = area(offer);
            is_inside(area, frame) && taken.iter().all(|other| !overlaps(area, *other))
        };
        if let Some(offer) = offers.into_iter().find(fits) {
            taken.push(area(&offer));
            labels.push(Label { text: text.into(), x: offer.0, y: offer.1 });
        }
    }
    labels
}

fn is_inside(area: Area, frame: Area) -> bool {
    area[0] >= frame[0] && area[1] <= frame[1] && area[2] >= frame[2] && area[3] <= frame[3]
}

fn overlaps(one: Area, other: Area) -> bool {
    one[0] < other[1] && other[0] < one[1] && one[2] < other[3] && other[2] < one[3]
}

/// Places for sorted lines of text: at least a line apart, none below `lowest` where they fit.
pub(super) fn spread_out(wanted: &[f64], lowest: f64) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::new();
    for &y in wanted {
        let least = places.last().map_or(f64::MIN, |last| last + LINE);
        places.push(y.max(least));
    }
    let mut most = lowest;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LINE;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Area = [0.0, 300.0, 0.0, 200.0];

    fn check(points: &[(f64, f64, &str)], want: &[(f64, f64)]) {
        let places: Vec<(f64, f64)> =
            place(points, &[], FRAME).into_iter().map(|label| (label.x, label.y)).collect();
        assert_eq!(places, want);
    }

    #[test]
    fn a_name_stands_above_its_point() {
        check(&[(100.0, 100.0, "L6")], &[(100.0, 90.0)]);
    }

    #[test]
    fn a_name_keeps_clear_of_the_point_above_it() {
        check(&[(100.0, 100.0, "L6"), (100.0, 88.0, "L9")], &[(100.0, 118.0), (100.0, 78.0)]);
    }

    #[test]
    fn a_name_stays_in_its_frame() {
        check(&[(100.0, 5.0, "L6")], &[(100.0, 23.0)]);
    }

    #[test]
    fn a_name_keeps_clear_of_lines() {
        let bar = [(100.0, 50.0), (100.0, 150.0)];
        let labels = place(&[(100.0, 100.0, "L6")], &[bar], FRAME);
        // To the right: half of its two letters and the room of the point.
        assert_eq!(labels, [Label { text: "L6".into(), x: 100.0 + LETTER + 9.0, y: 104.0 }]);
    }

    #[test]
    fn a_name_without_room_is_left_out() {
        check(&[(100.0, 100.0, &"long ".repeat(20))], &[]);
    }

    #[test]
    fn numbers_at_the_ends_do_not_cover_each_other() {
        assert_eq!(spread_out(&[20.0, 21.0, 60.0], 230.0), [20.0, 33.0, 60.0]);
        assert_eq!(spread_out(&[225.0, 229.0, 230.0], 230.0), [204.0, 217.0, 230.0]);
    }
}
