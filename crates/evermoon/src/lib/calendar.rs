//! Calendar arithmetic and C's `strftime` in the "C" locale, for `os.date` and `os.time`.
//!
//! Pure: it knows neither clock nor time zone. What is local comes from the host; without one, local time is UTC. Every conversion of
//! C99 is here, so that dates print alike on every platform.

use crate::vm::host::Calendar;

const DAY: i64 = 86_400;
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Years that C's `struct tm` can hold.
const YEAR_MIN: i64 = i32::MIN as i64 + 1900;
const YEAR_MAX: i64 = i32::MAX as i64 + 1900;

/// Days from the epoch to a date of the proleptic Gregorian calendar. Years begin in March here, so that the leap day comes last.
fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a count of days since the epoch.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The calendar time of a moment in UTC; `None` when its year is beyond what C can say.
pub fn utc(time: i64) -> Option<Calendar> {
    let (days, second) = (time.div_euclid(DAY), time.rem_euclid(DAY));
    let (year, month, day) = date_from_days(days);
    if !(YEAR_MIN..=YEAR_MAX).contains(&year) {
        return None;
    }
    Some(Calendar {
        year,
        month,
        day,
        hour: second / 3600,
        min: second / 60 % 60,
        sec: second % 60,
        wday: (days + 4).rem_euclid(7) + 1,
        yday: days - days_from_date(year, 1, 1) + 1,
        isdst: Some(false),
        offset: 0,
    })
}

/// The moment of a calendar time in UTC, whose fields may be out of their ranges (but are C `int`s); they are normalised.
pub fn moment_utc(calendar: &mut Calendar) -> Option<i64> {
    let months = calendar.year * 12 + calendar.month - 1;
    let days =
        days_from_date(months.div_euclid(12), months.rem_euclid(12) + 1, 1) + calendar.day - 1;
    let time = days * DAY + calendar.hour * 3600 + calendar.min * 60 + calendar.sec;
    *calendar = utc(time)?;
    Some(time)
}

/// Length of the conversion specifier at the start of `spec` (what follows a `%`), or `None` if C99 has no such one.
pub fn specifier_len(spec: &[u8]) -> Option<usize> {
    let among = |set: &[u8], at: usize| spec.get(at).is_some_and(|c| set.contains(c));
    match spec.first()? {
        b'E' if among(b"cCxXyY", 1) => Some(2),
        b'O' if among(b"deHImMSuUVwWy", 1) => Some(2),
        _ if among(b"aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%", 0) => Some(1),
        _ => None,
    }
}

/// Appends the expansion of a specifier that [`specifier_len`] has measured. `zone` is the time zone's name.
pub fn expand(out: &mut Vec<u8>, c: &Calendar, zone: &str, spec: &[u8]) {
    // The modifiers E and O change nothing in the "C" locale.
    let Some(&letter) = spec.last() else { return };
    let name = |names: &[&'static str], i: i64| names.get(i as usize).copied().unwrap_or("?");
    let weekday = name(&WEEKDAYS, c.wday - 1);
    let month = name(&MONTHS, c.month - 1);
    let short = |name: &'static str| name.get(..3).unwrap_or(name);
    let hour12 = (c.hour + 11) % 12 + 1;
    let mut again = |specs: &str| {
        for (i, part) in specs.split('%').enumerate() {
            match part.as_bytes().split_first() {
                Some((letter, rest)) if i > 0 => {
                    expand(out, c, zone, &[*letter]);
                    out.extend_from_slice(rest);
                }
                _ => {}
            }
        }
    };
    let text = match letter {
        b'a' => short(weekday).into(),
        b'A' => weekday.into(),
        b'b' | b'h' => short(month).into(),
        b'B' => month.into(),
        b'c' => return again("%a %b %e %H:%M:%S %Y"),
        b'C' => format!("{:02}", c.year.div_euclid(100)),
        b'd' => format!("{:02}", c.day),
        b'D' | b'x' => return again("%m/%d/%y"),
        b'e' => format!("{:2}", c.day),
        b'F' => return again("%Y-%m-%d"),
        b'g' => format!("{:02}", iso_week(c).0.rem_euclid(100)),
        b'G' => iso_week(c).0.to_string(),
        b'H' => format!("{:02}", c.hour),
        b'I' => format!("{hour12:02}"),
        b'j' => format!("{:03}", c.yday),
        b'm' => format!("{:02}", c.month),
        b'M' => format!("{:02}", c.min),
        b'n' => "\n".into(),
        b'p' => if c.hour < 12 { "AM" } else { "PM" }.into(),
        b'r' => return again("%I:%M:%S %p"),
        b'R' => return again("%H:%M"),
        b'S' => format!("{:02}", c.sec),
        b't' => "\t".into(),
        b'T' | b'X' => return again("%H:%M:%S"),
        b'u' => ((c.wday + 5) % 7 + 1).to_string(),
        b'U' => format!("{:02}", (c.yday + 7 - c.wday) / 7),
        b'V' => format!("{:02}", iso_week(c).1),
        b'w' => (c.wday - 1).to_string(),
        b'W' => format!("{:02}", (c.yday + 6 - (c.wday + 5) % 7) / 7),
        b'y' => format!("{:02}", c.year.rem_euclid(100)),
        b'Y' => c.year.to_string(),
        b'z' => {
            let minutes = c.offset.abs() / 60;
            format!(
                "{}{:02}{:02}",
                if c.offset < 0 { '-' } else { '+' },
                minutes / 60,
                minutes % 60
            )
        }
        b'Z' => zone.into(),
        _ => "%".to_string(),
    };
    out.extend_from_slice(text.as_bytes());
}

/// Year and week of ISO 8601: weeks begin on Monday, and the first one has the year's first Thursday.
fn iso_week(c: &Calendar) -> (i64, i64) {
    let weekday = (c.wday + 5) % 7 + 1;
    let week = (c.yday - weekday + 10) / 7;
    if week < 1 {
        // December 31st of the year before has the same week.
        let yday = c.yday + 365 + i64::from(is_leap(c.year - 1));
        return (c.year - 1, (yday - weekday + 10) / 7);
    }
    // A week 53 needs a Thursday in this year.
    let thursday = c.yday + 4 - weekday;
    if thursday > 365 + i64::from(is_leap(c.year)) {
        (c.year + 1, 1)
    } else {
        (c.year, week)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(time: i64, format: &str) -> String {
        let c = utc(time).unwrap();
        let mut out = Vec::new();
        let mut rest = format.as_bytes();
        while let Some((&b, tail)) = rest.split_first() {
            if b == b'%' {
                let n = specifier_len(tail).unwrap();
                expand(&mut out, &c, "GMT", &tail[..n]);
                rest = &tail[n..];
            } else {
                out.push(b);
                rest = tail;
            }
        }
        String::from_utf8(out).unwrap()
    }

    // Expected texts are what lua5.4's os.date("!...") prints.
    #[test]
    fn conversions_are_cs() {
        assert_eq!(show(0, "%c"), "Thu Jan  1 00:00:00 1970");
        assert_eq!(
            show(
                1_000_000_000,
                "%x %X %p %r %z %Z %C %g %G %V %U %W %u %w %h %D %e %j"
            ),
            "09/09/01 01:46:40 AM 01:46:40 AM +0000 GMT 20 01 2001 36 36 36 7 0 Sep 09/09/01  9 252"
        );
    }

    #[test]
    fn moments_come_back() {
        for time in [
            0,
            -1,
            951_782_400,
            951_868_800,
            4_102_444_800,
            -62_135_596_800,
            253_402_300_799,
        ] {
            let mut c = utc(time).unwrap();
            assert_eq!(moment_utc(&mut c), Some(time));
        }
        assert_eq!(utc(1 << 60), None);
    }

    #[test]
    fn fields_out_of_range_are_carried() {
        let mut c = Calendar {
            year: 2020,
            month: 14,
            day: -3,
            hour: 25,
            min: -1,
            sec: 60,
            ..Calendar::default()
        };
        assert!(moment_utc(&mut c).is_some());
        assert_eq!(
            (c.year, c.month, c.day, c.hour, c.min, c.sec),
            (2021, 1, 29, 1, 0, 0)
        );
    }
}
