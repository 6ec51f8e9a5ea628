//! One line of a plot, thinned as it comes: however many points there were, a bounded number of buckets remains, each with
//! its least and greatest value, so that no spike is lost.

/// Buckets kept. Twice what the widest terminal can tell apart.
const BUCKETS: usize = 1_024;

type Point = (f64, f64);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    points: usize,
    least: Point,
    greatest: Point,
}

impl Bucket {
    fn merge(&mut self, other: Bucket) {
        self.points += other.points;
        if other.least.1 < self.least.1 {
            self.least = other.least;
        }
        if other.greatest.1 > self.greatest.1 {
            self.greatest = other.greatest;
        }
    }
}

/// A line. Points come in order of time, either way.
#[derive(Debug)]
pub(super) struct Trace {
    buckets: Vec<Bucket>,
    /// Points that share a bucket.
    share: usize,
}

impl Default for Trace {
    fn default() -> Self {
        Trace { buckets: Vec::new(), share: 1 }
    }
}

impl Trace {
    pub(super) fn push(&mut self, time: f64, value: f64) {
        let point = Bucket { points: 1, least: (time, value), greatest: (time, value) };
        match self.buckets.last_mut() {
            Some(last) if last.points < self.share => last.merge(point),
            _ => {
                if self.buckets.len() == BUCKETS {
                    self.halve();
                }
                self.buckets.push(point);
            }
        }
    }

    fn halve(&mut self) {
        let merged = |pair: &[Bucket]| {
            let (first, rest) = pair.split_first()?;
            let mut bucket = *first;
            rest.iter().for_each(|other| bucket.merge(*other));
            Some(bucket)
        };
        self.buckets = self.buckets.chunks(2).filter_map(merged).collect();
        self.share *= 2;
    }

    /// What is left to draw.
    pub(super) fn points(&self) -> Vec<Point> {
        let mut points = Vec::with_capacity(self.buckets.len() * 2);
        for bucket in &self.buckets {
            let (first, second) = if bucket.least.0 <= bucket.greatest.0 {
                (bucket.least, bucket.greatest)
            } else {
                (bucket.greatest, bucket.least)
            };
            points.push(first);
            if second != first {
                points.push(second);
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_points_are_kept_as_they_are() {
        let mut trace = Trace::default();
        let points = [(0.0, 5.0), (1.0, 4.0), (2.0, 6.0)];
        points.iter().for_each(|(time, value)| trace.push(*time, *value));
        assert_eq!(trace.points(), points);
    }

    #[test]
    fn many_points_are_thinned_without_losing_a_spike() {
        let mut trace = Trace::default();
        for at in 0..1_000_000u32 {
            let value = match at {
                123_456 => 99.0,
                765_432 => -99.0,
                _ => f64::from(at % 7),
            };
            trace.push(f64::from(at), value);
        }
        let points = trace.points();
        assert!(points.len() <= 2 * BUCKETS, "{}", points.len());
        assert!(points.contains(&(123_456.0, 99.0)));
        assert!(points.contains(&(765_432.0, -99.0)));
        assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0), "in order of time");
    }
}
