//! The losses of a run, of which no more are kept than anybody can see.

/// Points at which two make one.
const MOST: usize = 4096;

/// Losses over steps: as many points as can be seen, each the mean of equally many losses.
#[derive(Clone, Debug)]
pub struct Losses {
    points: Vec<(u64, f64)>,
    /// So many losses make a point.
    each: u32,
    /// The step of the last of those that are yet to make one, their mean, and how many they are.
    open: Option<(u64, f64, u32)>,
}

impl Default for Losses {
    fn default() -> Self {
        Self { points: vec![], each: 1, open: None }
    }
}

impl Losses {
    /// Takes in the loss at a step behind all others. What is no number is no point of a curve.
    pub fn push(&mut self, step: u64, loss: f64) {
        if !loss.is_finite() {
            return;
        }
        let (_, mean, count) = self.open.unwrap_or_default();
        let count = count + 1;
        let mean = mean + (loss - mean) / f64::from(count);
        self.open = Some((step, mean, count));
        if count < self.each {
            return;
        }
        self.points.push((step, mean));
        self.open = None;
        if self.points.len() >= MOST {
            let both = |pair: &[(u64, f64)]| (pair[1].0, (pair[0].1 + pair[1].1) / 2.0);
            self.points = self.points.chunks_exact(2).map(both).collect();
            self.each *= 2;
        }
    }

    /// Forgets what is of `step` and of later ones.
    pub fn cut(&mut self, step: u64) {
        self.points.retain(|(own, _)| *own < step);
        self.open = self.open.filter(|(own, ..)| *own < step);
    }

    /// Steps and means, ascending.
    pub fn points(&self) -> impl Iterator<Item = (u64, f64)> {
        let open = self.open.map(|(step, mean, _)| (step, mean));
        self.points.iter().copied().chain(open)
    }
}

/// A curve over the steps up to `end`, in at most `parts` points: the mean of each part.
pub fn thinned(
    points: impl IntoIterator<Item = (u64, f64)>,
    end: u64,
    parts: usize,
) -> Vec<(f64, f64)> {
    let part_of = |step: u64| (step as f64 / (end as f64 + 1.0) * parts as f64) as usize;
    let mut thin: Vec<(f64, f64)> = vec![];
    let mut open = (usize::MAX, 0.0);
    for (step, value) in points.into_iter().filter(|(_, value)| value.is_finite()) {
        let part = part_of(step);
        let point = (step as f64, value);
        match thin.last_mut().filter(|_| open.0 == part) {
            None => {
                open = (part, 1.0);
                thin.push(point);
            }
            Some(last) => {
                open.1 += 1.0;
                last.0 += (point.0 - last.0) / open.1;
                last.1 += (point.1 - last.1) / open.1;
            }
        }
    }
    thin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_shape_in_few_points() {
        let mut losses = Losses::default();
        let steps = 100_000u64;
        for step in 1..=steps {
            losses.push(step, 5.0 - step as f64 / steps as f64);
        }
        let points: Vec<(u64, f64)> = losses.points().collect();
        assert!((MOST / 2..=MOST).contains(&points.len()), "{}", points.len());
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(points.last().unwrap().0, steps);
        // A point is the mean of the few losses up to it.
        let few = steps as f64 / (MOST / 2) as f64;
        for (step, mean) in points {
            let expected = 5.0 - step as f64 / steps as f64;
            assert!((0.0..=few / steps as f64).contains(&(mean - expected)), "{step}: {mean}");
        }
    }

    #[test]
    fn what_is_no_number_is_left_out_and_what_was_taken_back_goes() {
        let mut losses = Losses::default();
        for (step, loss) in [(10, 4.0), (20, f64::NAN), (30, f64::INFINITY), (40, 2.0)] {
            losses.push(step, loss);
        }
        assert_eq!(losses.points().collect::<Vec<_>>(), [(10, 4.0), (40, 2.0)]);
        losses.cut(40);
        losses.push(40, 3.0);
        assert_eq!(losses.points().collect::<Vec<_>>(), [(10, 4.0), (40, 3.0)]);
    }

    #[test]
    fn a_thinned_curve_has_the_mean_of_each_part() {
        let points = [(0, 1.0), (10, 3.0), (49, f64::NAN), (60, 5.0), (99, 7.0)];
        assert_eq!(thinned(points, 99, 2), [(5.0, 2.0), (79.5, 6.0)]);
        assert_eq!(thinned(points, 99, 100).len(), 4);
        assert!(thinned([], 0, 1).is_empty());
        assert_eq!(thinned([(0, 1.0)], 0, 1), [(0.0, 1.0)]);
    }
}
