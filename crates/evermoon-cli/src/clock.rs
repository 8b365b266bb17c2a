//! The C library's clocks and time zone: what `os.clock` counts, and local time by the same rules as every other program on the machine.
//!
//! `libc` rather than a time zone crate: `mktime` decides what out-of-range and ambiguous fields mean, and Lua promises its decisions.
#![allow(unsafe_code)]

use evermoon::vm::host::Calendar;
use std::ffi::CStr;
use std::mem::MaybeUninit;

/// Processor seconds of this process.
pub fn cpu_seconds() -> Option<f64> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is good for writing, and the value is read only when the call says that it wrote it.
    unsafe {
        if libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, time.as_mut_ptr()) != 0 {
            return None;
        }
        let time = time.assume_init();
        Some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
    }
}

fn local(time: i64) -> Option<libc::tm> {
    let time = time as libc::time_t;
    let mut tm = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are good for the call, which returns null when it has not written `tm`.
    unsafe {
        if libc::localtime_r(&time, tm.as_mut_ptr()).is_null() {
            None
        } else {
            Some(tm.assume_init())
        }
    }
}

fn calendar_of(tm: &libc::tm) -> Calendar {
    Calendar {
        year: tm.tm_year as i64 + 1900,
        month: tm.tm_mon as i64 + 1,
        day: tm.tm_mday as i64,
        hour: tm.tm_hour as i64,
        min: tm.tm_min as i64,
        sec: tm.tm_sec as i64,
        wday: tm.tm_wday as i64 + 1,
        yday: tm.tm_yday as i64 + 1,
        isdst: if tm.tm_isdst < 0 {
            None
        } else {
            Some(tm.tm_isdst > 0)
        },
        offset: tm.tm_gmtoff as i32,
    }
}

/// Local calendar time of a moment.
pub fn calendar(time: i64) -> Option<Calendar> {
    local(time).map(|tm| calendar_of(&tm))
}

/// Name of the local time zone at a moment.
pub fn zone_name(time: i64) -> Option<String> {
    let tm = local(time)?;
    if tm.tm_zone.is_null() {
        return None;
    }
    // SAFETY: the C library's zone names are strings that live as long as the process or the next `tzset`; it is copied at once.
    Some(
        unsafe { CStr::from_ptr(tm.tm_zone) }
            .to_string_lossy()
            .into_owned(),
    )
}

/// The moment of a local calendar time, whose fields become what they mean.
pub fn moment(calendar: &mut Calendar) -> Option<i64> {
    // SAFETY: a `tm` of zeros is valid (no zone name).
    let mut tm: libc::tm = unsafe { MaybeUninit::zeroed().assume_init() };
    let field = |n: i64, less: i64| i32::try_from(n - less).ok();
    tm.tm_year = field(calendar.year, 1900)?;
    tm.tm_mon = field(calendar.month, 1)?;
    tm.tm_mday = field(calendar.day, 0)?;
    tm.tm_hour = field(calendar.hour, 0)?;
    tm.tm_min = field(calendar.min, 0)?;
    tm.tm_sec = field(calendar.sec, 0)?;
    tm.tm_isdst = calendar.isdst.map_or(-1, i32::from);
    // SAFETY: `tm` is a valid one.
    let time = unsafe { libc::mktime(&mut tm) };
    *calendar = calendar_of(&tm);
    if time == -1 { None } else { Some(time as i64) }
}
