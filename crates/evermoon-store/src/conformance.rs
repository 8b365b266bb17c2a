//! The suite that every store passes. A store is right when `check` returns, or when the tests that `store_conformance!` writes all pass.
//!
//! ```ignore
//! evermoon_store::store_conformance!(memory, MemoryWorlds);
//! ```
//!
//! A case gets worlds from a `Worlds`, talks to them through `dyn Store` only, and panics when a promise is broken. `model` holds the test
//! against a plain map, with operations that proptest invents and shrinks.

mod cases;
mod model;
mod race;

pub use model::Model;

use crate::store::Store;

/// Makes worlds for the suite.
pub trait Worlds {
    /// A new, empty world. The suite has several at once.
    fn fresh(&self) -> Box<dyn TestWorld>;
}

/// One world, which outlives the handles on it.
pub trait TestWorld {
    /// A handle on it. Several live at once, in several threads.
    fn handle(&mut self) -> Box<dyn Store>;

    /// Closes it and opens it as a new process would; all handles are gone by then. A store that lives only as long as its handles does
    /// nothing here.
    fn reopen(&mut self);
}

/// A case of the suite.
pub type Case = (&'static str, fn(&dyn Worlds));

/// All cases. `store_conformance!` has the same names; a test sees to that.
pub const CASES: &[Case] = &[
    ("a_new_world_is_empty", cases::a_new_world_is_empty),
    ("commits_count", cases::commits_count),
    (
        "a_conflict_changes_nothing",
        cases::a_conflict_changes_nothing,
    ),
    ("a_lease_fences_off", cases::a_lease_fences_off),
    ("the_last_write_wins", cases::the_last_write_wins),
    ("ranges_are_deleted", cases::ranges_are_deleted),
    ("scans_go_both_ways", cases::scans_go_both_ways),
    (
        "keys_are_ordered_bytewise",
        cases::keys_are_ordered_bytewise,
    ),
    ("a_visit_stops_when_told", cases::a_visit_stops_when_told),
    ("a_visit_sees_one_version", cases::a_visit_sees_one_version),
    ("reading_many_is_one_view", cases::reading_many_is_one_view),
    ("values_of_all_sizes", cases::values_of_all_sizes),
    (
        "limits_refuse_the_whole_batch",
        cases::limits_refuse_the_whole_batch,
    ),
    ("many_keys", cases::many_keys),
    ("runs_meet_what_is_there", cases::runs_meet_what_is_there),
    (
        "everything_is_there_after_reopening",
        cases::everything_is_there_after_reopening,
    ),
    (
        "relaxed_commits_are_commits",
        cases::relaxed_commits_are_commits,
    ),
    ("figures_are_exact", cases::figures_are_exact),
    ("care_changes_nothing", cases::care_changes_nothing),
    ("writers_race", race::writers_race),
    ("leases_race", race::leases_race),
    ("like_a_plain_map", model::like_a_plain_map),
];

/// Runs all cases.
pub fn check(worlds: &dyn Worlds) {
    for (name, case) in CASES {
        eprintln!("{name}");
        case(worlds);
    }
}

/// Runs the case of that name.
pub fn check_one(worlds: &dyn Worlds, name: &str) {
    let (_, case) = CASES
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("the suite has no case '{name}'"));
    case(worlds);
}

/// Writes a module of tests, one a case: `store_conformance!(name_of_the_module, worlds)`, where `worlds` is an expression for a `Worlds`.
#[macro_export]
macro_rules! store_conformance {
    ($module:ident, $worlds:expr) => {
        $crate::store_conformance! { $module, $worlds,
            a_new_world_is_empty commits_count a_conflict_changes_nothing a_lease_fences_off the_last_write_wins ranges_are_deleted
            scans_go_both_ways keys_are_ordered_bytewise a_visit_stops_when_told a_visit_sees_one_version reading_many_is_one_view
            values_of_all_sizes limits_refuse_the_whole_batch many_keys runs_meet_what_is_there everything_is_there_after_reopening relaxed_commits_are_commits
            figures_are_exact care_changes_nothing writers_race leases_race like_a_plain_map
        }
    };
    ($module:ident, $worlds:expr, $($case:ident)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(#[test]
            fn $case() {
                $crate::conformance::check_one(&$worlds, stringify!($case));
            })*

            #[test]
            fn the_list_is_whole() {
                let names: Vec<&str> = $crate::conformance::CASES.iter().map(|(name, _)| *name).collect();
                assert_eq!(names, [$(stringify!($case)),*]);
            }
        }
    };
}
