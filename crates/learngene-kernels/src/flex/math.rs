//! Scalar functions and sums that the compiler can turn into SIMD code: no branches, no calls,
//! sums in a fixed number of lanes.
//!
//! All are inlined into functions that `multiversion` compiles for several instruction sets.
//! Fused multiply-adds are written out, since the compiler may not introduce them: so every
//! instruction set gives the same bits.

/// Lanes of a sum: one AVX-512 register, two of AVX2.
pub(crate) const LANES: usize = 16;

/// Whether [`f32::mul_add`] is an instruction here; elsewhere it is a slow library call, and
/// burn's own operations are faster.
pub(crate) fn fast_on_this_cpu() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    return cfg!(target_arch = "aarch64");
}

/// `exp(x)` for `x <= 0`, within 2 ulp; 0 below the smallest normal number, NaN for NaN.
///
/// `exp(x) = 2^n * exp(r)` with `n = round(x / ln 2)` and `|r| <= ln 2 / 2`; the polynomial is
/// that of Cephes' `expf` (Moshier, <https://www.netlib.org/cephes/>).
#[inline(always)]
pub(crate) fn exp_nonpositive(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it rounds to an integer and leaves that in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; the first has few bits, so its product with `n` is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const COEFFICIENTS: [f32; 5] =
        [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2[1], n.mul_add(-LN_2[0], x));
    let mut polynomial = 1.987_569_1e-4_f32;
    for coefficient in COEFFICIENTS {
        polynomial = polynomial.mul_add(r, coefficient);
    }
    let exp_r = polynomial.mul_add(r * r, r) + 1.0;
    // n moved into the exponent field of 1.0.
    let two_to_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    // Written so that NaN fails the comparison and passes through.
    if x < -87.0 { 0.0 } else { exp_r * two_to_n }
}

/// `sum_i term(row[i])`, in lanes and so in a fixed order.
#[inline(always)]
pub(crate) fn sum(row: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += term(chunk[i]);
        }
    }
    rest.iter().fold(add_lanes(lanes), |sum, x| sum + term(*x))
}

/// `sum_i term(a[i], b[i])` over two rows of one length, in the same order.
#[inline(always)]
pub(crate) fn sum_pairs(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += term(a[i], b[i]);
        }
    }
    let rest = a_rest.iter().zip(b_rest);
    rest.fold(add_lanes(lanes), |sum, (a, b)| sum + term(*a, *b))
}

/// The lanes added up as a tree.
#[inline(always)]
pub(crate) fn add_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_2_ulp_down_to_the_smallest_normal_number() {
        for i in 0..=870_000 {
            let x = -(i as f32) * 1e-4;
            let (found, wanted) = (exp_nonpositive(x), f64::from(x).exp());
            let error = (f64::from(found) - wanted).abs() / wanted;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp({x}) = {found}, wanted {wanted}");
        }
    }

    #[test]
    fn exp_of_what_is_too_small_is_zero_and_nan_passes() {
        assert_eq!([-88.0, -1e30, f32::NEG_INFINITY].map(exp_nonpositive), [0.0; 3]);
        assert!(exp_nonpositive(f32::NAN).is_nan());
    }

    #[test]
    fn sums_take_every_element_once() {
        for length in 0..70 {
            let row: Vec<f32> = (1..=length).map(|i| i as f32).collect();
            let triangle = (length * (length + 1) / 2) as f32;
            assert_eq!(sum(&row, |x| x), triangle);
            assert_eq!(sum_pairs(&row, &row, |a, b| a + b), 2.0 * triangle);
        }
    }
}
