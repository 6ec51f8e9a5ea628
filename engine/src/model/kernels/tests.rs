use arrow::array::BooleanArray;

use fastrand::Rng;

use super::*;
use crate::testing;

/// Sums as the engine does, in parts of random length.
fn sum_in_parts<N: Number>(values: &[N], random: &mut Rng) -> N::Total {
    let mut total = N::Total::default();
    let mut rest = values;
    while !rest.is_empty() {
        let (part, after) = rest.split_at((1 + random.usize(..BLOCK)).min(rest.len()));
        total.merge(N::sum(part));
        rest = after;
    }
    total
}

fn moments_in_parts<N: Number>(values: &[N], random: &mut Rng) -> f64 {
    let (mut moments, mut count) = (Moments::default(), 0);
    let mut rest = values;
    while !rest.is_empty() {
        let (part, after) = rest.split_at((1 + random.usize(..400)).min(rest.len()));
        moments.merge(count, Moments::of(part), part.len() as u64);
        count += part.len() as u64;
        rest = after;
    }
    moments.deviation(count).unwrap()
}

/// The sample standard deviation of integers, exact up to the last division and root.
fn exact_deviation(values: &[i128]) -> f64 {
    let count = values.len() as i128;
    let least = values.iter().min().unwrap();
    let (sum, squares) = values.iter().map(|v| v - least).fold((0, 0), |(sum, squares), v| (sum + v, squares + v * v));
    let numerator = count * squares - sum * sum;
    (numerator as f64 / (count as f64 * (count - 1) as f64)).sqrt()
}

#[test]
fn sums_of_doubles_are_exact_to_1e12_however_they_are_cut() {
    let mut random = testing::random(7);
    for round in 0..40 {
        // Multiples of 2^-20 of mixed size and sign: their sum is known as an integer.
        let spread = 20 + random.usize(..30);
        let units: Vec<i64> = (0..1 + random.usize(..30_000)).map(|_| (random.u64(..) as i64) >> (63 - spread)).collect();
        let values: Vec<f64> = units.iter().map(|unit| *unit as f64 / 1_048_576.0).collect();
        let exact = units.iter().map(|unit| i128::from(*unit)).sum::<i128>() as f64 / 1_048_576.0;
        let magnitudes: f64 = values.iter().map(|value| value.abs()).sum();
        for _ in 0..3 {
            let found = sum_in_parts(&values, &mut random).to_f64();
            assert!((found - exact).abs() <= 1e-12 * magnitudes, "round {round}: {found} is not {exact}");
        }
    }
}

#[test]
fn a_million_small_steps_beside_a_large_number_are_not_lost() {
    let mut values = vec![0.1f64; 1_000_000];
    values[0] = 1e16;
    values[999_999] = -1e16;
    let total = sum_in_parts::<f64>(&values, &mut testing::random(3)).to_f64();
    assert!((total - 99_999.8).abs() <= 1e-12 * 2e16, "{total}");
}

#[test]
fn infinities_and_nan_show_in_sums() {
    let sum = |values: &[f64]| {
        let mut total = FloatTotal::default();
        values.iter().for_each(|value| total.merge(f64::sum(&[*value])));
        total.to_f64()
    };
    assert_eq!(sum(&[1.0, f64::INFINITY, 2.0]), f64::INFINITY);
    assert_eq!(sum(&[f64::NEG_INFINITY, 2.0]), f64::NEG_INFINITY);
    assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    assert!(sum(&[1.0, f64::NAN, 2.0]).is_nan());
}

#[test]
fn sums_of_integers_are_exact() {
    let mut random = testing::random(11);
    for shift in [0, 1, 17, 32, 55] {
        let signed: Vec<i64> = (0..5_000).map(|_| (random.u64(..) as i64) >> shift).collect();
        assert_eq!(sum_in_parts(&signed, &mut random), signed.iter().map(|v| i128::from(*v)).sum::<i128>());
        let unsigned: Vec<u64> = (0..5_000).map(|_| random.u64(..) >> shift).collect();
        assert_eq!(sum_in_parts(&unsigned, &mut random), unsigned.iter().map(|v| i128::from(*v)).sum::<i128>());
    }
    assert_eq!(i64::sum(&[i64::MIN; BLOCK]), -(1i128 << 63) * BLOCK as i128);
    assert_eq!(u64::sum(&[u64::MAX; BLOCK]), ((1i128 << 64) - 1) * BLOCK as i128);
    assert_eq!(i64::sum(&[]), 0);
}

#[test]
fn extremes_pass_over_nan_and_order_zeros() {
    let bits = |(low, high): (f64, f64)| (low.to_bits(), high.to_bits());
    let extremes = |values: &[f64]| bits(f64::extremes(values));
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    assert_eq!(extremes(&[nan, 3.0, -2.0, nan]), bits((-2.0, 3.0)));
    assert_eq!(extremes(&[nan; 20]), bits((nan, nan)));
    assert_eq!(extremes(&[inf; 20]), bits((inf, inf)));
    assert_eq!(extremes(&[-inf, nan]), bits((-inf, -inf)));
    assert_eq!(extremes(&[nan, inf, -inf]), bits((-inf, inf)));
    for place in 0..19 {
        let mut zeros = [0.0; 19];
        zeros[place] = -0.0;
        assert_eq!(extremes(&zeros), bits((-0.0, 0.0)), "negative zero at {place}");
        let mut zeros = [-0.0; 19];
        zeros[place] = 0.0;
        assert_eq!(extremes(&zeros), bits((-0.0, 0.0)), "positive zero at {place}");
    }
    assert_eq!(extremes(&[-0.0, 5.0]), bits((-0.0, 5.0)));
    assert_eq!(bits((nan.lesser(1.0), 1.0f64.lesser(nan))), bits((1.0, 1.0)));
    assert_eq!(bits((0.0f64.lesser(-0.0), (-0.0f64).greater(0.0))), bits((-0.0, 0.0)));
    assert_eq!(f32::extremes(&[1.5, f32::NAN, -0.5]), (-0.5, 1.5));
    assert_eq!(u64::extremes(&[3, u64::MAX, 9]), (3, u64::MAX));
    assert_eq!(i64::extremes(&[0, i64::MIN, i64::MAX]), (i64::MIN, i64::MAX));
}

#[test]
fn deviations_keep_their_digits_beside_large_offsets() {
    let mut random = testing::random(5);
    for offset in [0i64, 1_000_000_000, 1_000_000_000_000_000, 9_000_000_000_000_000] {
        // Eighths, which doubles of up to 2^50 hold; beyond, whole numbers.
        let eighths = if offset < 1 << 50 { 8 } else { 1 };
        let units: Vec<i64> = (0..3_000).map(|_| offset * eighths + random.i64(0..1_000)).collect();
        let values: Vec<f64> = units.iter().map(|unit| *unit as f64 / eighths as f64).collect();
        let exact = exact_deviation(&units.iter().map(|v| i128::from(*v)).collect::<Vec<_>>()) / eighths as f64;
        for _ in 0..5 {
            let found = moments_in_parts(&values, &mut random);
            assert!((found / exact - 1.0).abs() < 1e-9, "offset {offset}: {found} is not {exact}");
        }
    }
    for offset in [-9_200_000_000_000_000_000i64, 0, 9_200_000_000_000_000_000] {
        let values: Vec<i64> = (0..3_000).map(|_| offset + random.i64(0..50)).collect();
        let exact = exact_deviation(&values.iter().map(|v| i128::from(*v - offset)).collect::<Vec<_>>());
        let found = moments_in_parts(&values, &mut random);
        assert!((found / exact - 1.0).abs() < 1e-9, "offset {offset}: {found} is not {exact}");
    }
    let outlier: Vec<f64> = (0..2_000).map(|i| if i == 0 { 1e9 } else { f64::from(i % 7) }).collect();
    let exact = exact_deviation(&outlier.iter().map(|v| *v as i128).collect::<Vec<_>>());
    assert!((moments_in_parts(&outlier, &mut random) / exact - 1.0).abs() < 1e-9);
}

#[test]
fn deviations_of_few_or_odd_numbers() {
    assert_eq!(Moments::of(&[5.0]).deviation(1), None);
    assert_eq!(Moments::of(&[0.1; 3]).deviation(3), Some(0.0));
    assert_eq!(Moments::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).deviation(8), Some((32.0f64 / 7.0).sqrt()));
    assert_eq!(Moments::of(&[0u64, u64::MAX]).deviation(2).map(|d| (d / 1.304_381_782_533_278_7e19 * 1e9).round()), Some(1e9));
    assert!(Moments::of(&[1.0, f64::NAN]).deviation(2).is_some_and(f64::is_nan));
}

#[test]
fn picking_present_values_agrees_with_looking_one_by_one() {
    let mut random = testing::random(13);
    for _ in 0..200 {
        let rows = random.usize(..3 * BLOCK);
        let density = [1, 2, 10, 500][random.usize(..4)];
        let offset = random.usize(..70);
        let bits: Vec<bool> = (0..offset + rows + 5).map(|_| random.usize(..density) == 0).collect();
        let buffer = BooleanArray::from(bits.clone()).slice(offset, rows);
        let validity = Validity::new(buffer.values());
        let start = random.usize(..rows + 1);
        let end = start + random.usize(..rows - start + 1);
        let expected: Vec<usize> = (start..end).filter(|row| bits[offset + row]).collect();
        assert_eq!(validity.count(start..end), expected.len());
        assert_eq!(validity.any(start..end), !expected.is_empty());
        assert_eq!(validity.ends(start..end), expected.first().copied().zip(expected.last().copied()));
        assert_eq!(validity.rows(start..end).collect::<Vec<_>>(), expected);
        let values: Vec<i64> = (0..rows as i64).collect();
        let (mut scratch, mut picked) = (Vec::new(), Vec::new());
        each_block(&values, Some(validity), start..end, &mut scratch, |block| {
            assert!(!block.is_empty() && block.len() <= BLOCK);
            picked.extend(block.iter().map(|v| *v as usize));
        });
        assert_eq!(picked, expected);
    }
}
