use super::*;
use crate::error::ErrorKind;
use crate::testing;

fn day(zone: &str) -> Option<Window> {
    Some(Window::Day { zone: zone.to_owned() })
}

fn micros(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

/// The buckets of microsecond times, given and expected as RFC 3339.
fn assert_bucket(window: &Option<Window>, time: &str, start: &str, end: &str) {
    let mut windows = Windows::new(window, TimeUnit::Micro).unwrap();
    let found = windows.bucket(micros(time));
    let shown = |time| Timestamp::from_microsecond(time).unwrap().to_string();
    assert_eq!((shown(found.start), shown(found.end)), (start.to_owned(), end.to_owned()), "{time} in {window:?}");
    assert_eq!(windows.bucket_start(found.end - 1), found.start);
    assert_eq!(windows.bucket_start(found.end), found.end);
    assert_eq!(windows.bucket(found.start - 1).end, found.start);
}

#[test]
fn fixed_widths_start_at_multiples_since_the_epoch() {
    let mut windows = Windows::new(&Some(Window::Fixed { micros: 300_000_000 }), TimeUnit::Micro).unwrap();
    assert_eq!(windows.bucket(0), TimeRange::new(0, 300_000_000));
    assert_eq!(windows.bucket(299_999_999), TimeRange::new(0, 300_000_000));
    assert_eq!(windows.bucket(-1), TimeRange::new(-300_000_000, 0));
    assert_eq!(windows.bucket(-300_000_001), TimeRange::new(-600_000_000, -300_000_000));
    assert_eq!(windows.bucket(900_000_000), TimeRange::new(900_000_000, 1_200_000_000));
    assert_eq!(windows.bucket(1_200_000_000), TimeRange::new(1_200_000_000, 1_500_000_000));
    let mut millis = Windows::new(&Some(Window::Fixed { micros: 60_000_000 }), TimeUnit::Milli).unwrap();
    assert_eq!(millis.bucket(-60_001), TimeRange::new(-120_000, -60_000));
    let mut nanos = Windows::new(&Some(Window::Fixed { micros: 1 }), TimeUnit::Nano).unwrap();
    assert_eq!(nanos.bucket(-1), TimeRange::new(-1_000, 0));
}

#[test]
fn buckets_at_the_ends_of_time_are_cut_off() {
    let mut windows = Windows::new(&Some(Window::Fixed { micros: 86_400_000_000 }), TimeUnit::Nano).unwrap();
    assert_eq!(windows.bucket(i64::MIN + 1).start, i64::MIN);
    assert_eq!(windows.bucket(i64::MAX - 1).end, i64::MAX);
    let mut days = Windows::new(&day("UTC"), TimeUnit::Nano).unwrap();
    assert_eq!(days.bucket(i64::MIN + 1).start, i64::MIN);
    assert_eq!(days.bucket(i64::MAX - 1).end, i64::MAX);
    for unit in [TimeUnit::Milli, TimeUnit::Micro] {
        let last = unit.accepted().end - 1;
        let mut days = Windows::new(&day("Pacific/Apia"), unit).unwrap();
        assert!(days.bucket(last).contains(last));
        assert!(days.bucket(unit.accepted().start).contains(unit.accepted().start));
        assert_eq!(days.runs(&[unit.accepted().start, 0, last]).count(), 3);
    }
}

#[test]
fn widths_that_the_unit_cannot_say_are_refused() {
    let refused = |micros, unit| {
        let error = Windows::new(&Some(Window::Fixed { micros }), unit).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    };
    assert!(refused(500, TimeUnit::Milli).starts_with("a window of 500 µs is not a whole number of milliseconds"));
    assert!(refused(0, TimeUnit::Micro).contains("not above zero"));
    assert!(refused(-1_000, TimeUnit::Nano).contains("not above zero"));
    assert!(refused(i64::MAX, TimeUnit::Nano).contains("longer than all"));
    let zone = Windows::new(&day("Europe/Atlantis"), TimeUnit::Micro).unwrap_err();
    assert!(zone.to_string().starts_with("unknown time zone \"Europe/Atlantis\""), "{zone}");
}

#[test]
fn days_of_23_and_25_hours() {
    let berlin = day("Europe/Berlin");
    assert_bucket(&berlin, "2024-01-15T12:00:00Z", "2024-01-14T23:00:00Z", "2024-01-15T23:00:00Z");
    assert_bucket(&berlin, "2024-03-31T01:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z");
    assert_bucket(&berlin, "2024-10-27T00:30:00Z", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z");
    assert_bucket(&berlin, "2024-10-27T01:30:00Z", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z");
    let lord_howe = day("Australia/Lord_Howe");
    assert_bucket(&lord_howe, "2024-04-06T20:00:00Z", "2024-04-06T13:00:00Z", "2024-04-07T13:30:00Z");
}

#[test]
fn days_whose_midnight_is_skipped_or_repeated() {
    // Clocks went from 00:00 to 01:00.
    let sao_paulo = day("America/Sao_Paulo");
    assert_bucket(&sao_paulo, "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z");
    assert_bucket(&sao_paulo, "2018-11-04T02:59:59Z", "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z");
    // Clocks went from 24:00 back to 23:00: a Saturday of 25 hours.
    assert_bucket(&sao_paulo, "2018-02-18T02:30:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z");
    // Clocks went from 23:30 to 00:30: the day begins at half past midnight.
    assert_bucket(&day("America/Toronto"), "1919-03-31T12:00:00Z", "1919-03-31T04:30:00Z", "1919-04-01T04:00:00Z");
    // Clocks went from 00:01 back to 23:01: the day had begun.
    let newfoundland = day("America/St_Johns");
    assert_bucket(&newfoundland, "2010-11-07T02:45:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z");
    assert_bucket(&newfoundland, "2010-11-07T03:00:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z");
    // Samoa left out 30 December 2011.
    let apia = day("Pacific/Apia");
    assert_bucket(&apia, "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z");
    assert_bucket(&apia, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z");
}

#[test]
fn weeks_and_months() {
    let week = Some(Window::Week { zone: "Europe/Berlin".to_owned() });
    assert_bucket(&week, "2024-03-31T12:00:00Z", "2024-03-24T23:00:00Z", "2024-03-31T22:00:00Z");
    assert_bucket(&week, "2024-01-01T12:00:00Z", "2023-12-31T23:00:00Z", "2024-01-07T23:00:00Z");
    assert_bucket(
        &Some(Window::Week { zone: "UTC".to_owned() }),
        "1969-12-31T00:00:00Z",
        "1969-12-29T00:00:00Z",
        "1970-01-05T00:00:00Z",
    );
    let month = Some(Window::Month { zone: "America/New_York".to_owned() });
    assert_bucket(&month, "2024-03-01T04:59:59Z", "2024-02-01T05:00:00Z", "2024-03-01T05:00:00Z");
    assert_bucket(&month, "2024-03-20T00:00:00Z", "2024-03-01T05:00:00Z", "2024-04-01T04:00:00Z");
    assert_bucket(&month, "2023-12-31T23:00:00Z", "2023-12-01T05:00:00Z", "2024-01-01T05:00:00Z");
}

#[test]
fn calendars_count_in_the_table_s_unit() {
    let midnight = 1_711_839_600; // 2024-03-31 in Berlin, as seconds
    for unit in [TimeUnit::Milli, TimeUnit::Micro, TimeUnit::Nano] {
        let scale = unit.per_second();
        let mut windows = Windows::new(&day("Europe/Berlin"), unit).unwrap();
        let expected = TimeRange::new(midnight * scale, (midnight + 23 * 3_600) * scale);
        assert_eq!(windows.bucket((midnight + 5_000) * scale), expected);
    }
}

/// Cuts one by one, asking a fresh calendar for every row.
fn naive_runs(window: &Option<Window>, times: &[i64]) -> Vec<(i64, Range<usize>)> {
    let mut runs: Vec<(i64, Range<usize>)> = Vec::new();
    for (row, time) in times.iter().enumerate() {
        let start = match window {
            None => i64::MIN,
            Some(Window::Fixed { micros }) => time.div_euclid(*micros) * micros,
            _ => Windows::new(window, TimeUnit::Micro).unwrap().bucket_start(*time),
        };
        match runs.last_mut().filter(|(last, _)| *last == start) {
            Some((_, rows)) => rows.end = row + 1,
            None => runs.push((start, row..row + 1)),
        }
    }
    runs
}

#[test]
fn runs_agree_with_asking_for_every_row() {
    let mut random = testing::random(17);
    let kinds = [
        None,
        Some(Window::Fixed { micros: 1_000 }),
        Some(Window::Fixed { micros: 7_777 }),
        day("America/Sao_Paulo"),
        Some(Window::Month { zone: "Asia/Kathmandu".to_owned() }),
    ];
    for round in 0..60 {
        let window = &kinds[round % kinds.len()];
        let calendar = matches!(window, Some(Window::Day { .. } | Window::Month { .. }));
        let typical = if calendar { [1_000_000_000, 40_000_000_000, 90_000_000_000_000] } else { [1, 300, 50_000] };
        let mut windows = Windows::new(window, TimeUnit::Micro).unwrap();
        for _ in 0..3 {
            let mut time = random.u64(..) as i64 >> 12;
            let times: Vec<i64> = (0..random.usize(..600))
                .map(|_| {
                    let step = typical[random.usize(..3)];
                    time += 1 + random.usize(..step) as i64;
                    time
                })
                .collect();
            let found: Vec<_> = windows.runs(&times).collect();
            assert_eq!(found, naive_runs(window, &times), "{window:?}");
        }
    }
}

#[test]
fn a_calendar_forgets_rather_than_grows() {
    let mut windows = Windows::new(&day("Europe/Berlin"), TimeUnit::Micro).unwrap();
    let times: Vec<i64> = (0..10_000).map(|day| day * 86_400_000_000).collect();
    assert_eq!(windows.runs(&times).count(), 10_000);
    assert_eq!(windows.bucket_start(micros("1985-07-02T10:00:00Z")), micros("1985-07-01T22:00:00Z"));
    let Width::Calendar(calendar) = &windows.width else { panic!("not a calendar") };
    assert!(calendar.known.len() <= Calendar::KNOWN);
}
