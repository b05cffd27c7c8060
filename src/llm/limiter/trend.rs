//! How one figure goes with another in what was lately seen.

/// Exponentially weighted means, variances and covariance of pairs (T. Finch, *Incremental calculation of weighted mean
/// and variance*, 2009). The first pairs count alike, so that there is no made-up start to forget.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trend {
    memory: u32,
    seen: u32,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Trend {
    /// Of about the last `memory` pairs.
    pub(super) fn over(memory: u32) -> Self {
        Self { memory, seen: 0, x: 0.0, y: 0.0, xx: 0.0, yy: 0.0, xy: 0.0 }
    }

    pub(super) fn add(&mut self, x: f64, y: f64) {
        self.seen = self.seen.saturating_add(1).min(self.memory);
        let weight = 1.0 / f64::from(self.seen);
        let (dx, dy) = (x - self.x, y - self.y);
        self.x += weight * dx;
        self.y += weight * dy;
        let blend = |moment: f64, product: f64| (1.0 - weight) * (moment + weight * product);
        self.xx = blend(self.xx, dx * dx);
        self.yy = blend(self.yy, dy * dy);
        self.xy = blend(self.xy, dx * dy);
    }

    /// Pairs it is made of, at most its memory.
    pub(super) fn seen(&self) -> u32 {
        self.seen
    }

    /// The means of both figures.
    pub(super) fn means(&self) -> (f64, f64) {
        (self.x, self.y)
    }

    /// What the second figure grows by for each step of the first; nothing while the first hardly varies.
    pub(super) fn slope(&self, least_variance: f64) -> Option<f64> {
        (self.xx >= least_variance && self.xx > 0.0).then(|| self.xy / self.xx)
    }

    /// The standard deviation of the second figure from what the first makes expect.
    pub(super) fn scatter(&self) -> f64 {
        let explained = if self.xx > 0.0 { self.xy * self.xy / self.xx } else { 0.0 };
        (self.yy - explained).max(0.0).sqrt()
    }

    /// From -1 to 1; 0 while either figure does not vary.
    pub(super) fn correlation(&self) -> f64 {
        let norm = (self.xx * self.yy).sqrt();
        if norm > 0.0 { self.xy / norm } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    #[test]
    fn what_goes_together_is_told_from_what_does_not() {
        let (mut random, mut growing, mut draw) = (Trend::over(128), Trend::over(128), Draw::new(1, &["trend"]));
        for step in 0..1_000 {
            let (x, unit) = (f64::from(step % 64), draw.unit());
            random.add(x, f64::from(unit < 0.2));
            growing.add(x, f64::from(unit < x / 64.0));
        }
        assert!(random.correlation().abs() < 0.25, "{random:?}");
        assert!(growing.correlation() > 0.4, "{growing:?}");
        assert!((growing.slope(0.1).unwrap() - 1.0 / 64.0).abs() < 0.006, "{growing:?}");
        assert_eq!(Trend::over(8).slope(0.0), None);
    }
}
