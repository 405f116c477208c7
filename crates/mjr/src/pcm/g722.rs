//! The decoder of ITU-T G.722 at 64 kbit/s: two bands of ADPCM, and the filter that joins them. Names of blocks are those
//! of the recommendation (sections 3 and 4 with figures 19 to 21).

/// Table 14: multipliers of the lower band, and how codes lead to them.
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];
const RL42: [usize; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];
/// Those of the higher band.
const WH: [i32; 3] = [0, -214, 798];
const RH2: [usize; 4] = [2, 1, 2, 1];
/// The inverse logarithm of scale factors.
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
/// Outputs of the inverse quantizers of two, four and six bits.
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
const QM4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];
/// One half of the filter's coefficients; the other is its mirror.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

fn saturated(n: i32) -> i32 {
    n.clamp(i16::MIN.into(), i16::MAX.into())
}

fn of<const N: usize>(table: [i32; N], at: usize) -> i32 {
    table.get(at).copied().unwrap_or(0)
}

/// The predictor and scale factor of a band.
#[derive(Clone, Debug, Default)]
struct Band {
    /// The signal that is predicted, and the part of it that comes of zeros.
    predicted: i32,
    zeros: i32,
    /// Coefficients of two poles and six zeros.
    a: [i32; 2],
    b: [i32; 6],
    /// Of the last samples: reconstructed, partially reconstructed, differences; the newest first.
    r: [i32; 2],
    p: [i32; 2],
    d: [i32; 6],
    /// The logarithm of the scale factor, and the factor.
    log: i32,
    scale: i32,
}

impl Band {
    /// LOGSCL, LOGSCH, SCALEL, SCALEH.
    fn rescale(&mut self, step: i32, most: i32, shift: i32) {
        self.log = (((self.log * 127) >> 7) + step).clamp(0, most);
        let mantissa = of(ILB, usize::try_from(self.log >> 6 & 31).unwrap_or(0));
        let right = shift - (self.log >> 11);
        self.scale = (if right < 0 { mantissa << -right } else { mantissa >> right }) << 2;
    }

    /// Adapts to a difference, and predicts what is next.
    fn adapt(&mut self, d: i32) {
        let r = saturated(self.predicted + d);
        let p = saturated(self.zeros + d);
        let [p1, p2] = self.p;
        let [a1, a2] = self.a;
        let alike = |x: i32, y: i32| (x < 0) == (y < 0);
        // UPPOL2 and UPPOL1.
        let four = saturated(a1 << 2);
        let turned = (if alike(p, p1) { -four } else { four }).min(32_767);
        let second = (turned >> 7) + if alike(p, p2) { 128 } else { -128 } + ((a2 * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let most = saturated(15_360 - second);
        let first =
            saturated(if alike(p, p1) { 192 } else { -192 } + ((a1 * 32_640) >> 15)).clamp(-most, most);
        // UPZERO.
        let step = if d == 0 { 0 } else { 128 };
        for (b, old) in self.b.iter_mut().zip(self.d) {
            *b = saturated(if alike(old, d) { step } else { -step } + ((*b * 32_640) >> 15));
        }
        // DELAYA.
        self.a = [first, second];
        self.p = [p, p1];
        self.r = [r, self.r[0]];
        let [d1, d2, d3, d4, d5, _] = self.d;
        self.d = [d, d1, d2, d3, d4, d5];
        // FILTEP, FILTEZ and PREDIC.
        let part = |coefficient: i32, sample: i32| (coefficient * saturated(sample + sample)) >> 15;
        let poles = saturated(part(first, r) + part(second, self.r[1]));
        self.zeros = saturated(self.b.iter().zip(self.d).map(|(b, d)| part(*b, d)).sum());
        self.predicted = saturated(poles + self.zeros);
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Decoder {
    low: Band,
    high: Band,
    /// What goes through the filter, sums and differences of the bands, the newest first.
    sums: [i32; 12],
    differences: [i32; 12],
}

impl Default for Decoder {
    fn default() -> Self {
        let band = |scale| Band { scale, ..Band::default() };
        Self { low: band(32), high: band(8), sums: [0; 12], differences: [0; 12] }
    }
}

impl Decoder {
    /// Two samples, at 16 kHz.
    pub fn decode(&mut self, code: u8) -> [i16; 2] {
        let low_code = usize::from(code & 0x3f);
        let low = &mut self.low;
        let low_out = (low.predicted + ((low.scale * of(QM6, low_code)) >> 15)).clamp(-16_384, 16_383);
        let difference = (low.scale * of(QM4, low_code >> 2)) >> 15;
        low.rescale(of(WL, RL42.get(low_code >> 2).copied().unwrap_or(0)), 18_432, 8);
        low.adapt(difference);
        let high_code = usize::from(code >> 6);
        let high = &mut self.high;
        let difference = (high.scale * of(QM2, high_code)) >> 15;
        let high_out = (difference + high.predicted).clamp(-16_384, 16_383);
        high.rescale(of(WH, RH2.get(high_code).copied().unwrap_or(0)), 22_528, 10);
        high.adapt(difference);
        // RECA and RECB, ACCUMC and ACCUMD.
        for (line, new) in [(&mut self.sums, low_out + high_out), (&mut self.differences, low_out - high_out)]
        {
            line.rotate_right(1);
            line[0] = new;
        }
        let filtered = |sum: i32| i16::try_from(saturated(sum >> 11)).unwrap_or(0);
        let first = self.differences.iter().zip(QMF).map(|(x, c)| x * c).sum();
        let second = self.sums.iter().zip(QMF.iter().rev()).map(|(x, c)| x * c).sum();
        [filtered(first), filtered(second)]
    }
}
