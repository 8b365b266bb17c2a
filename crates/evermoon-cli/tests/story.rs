//! The story of a world: a computing program with `--checkpoint` is killed (`kill -9`) again and again, while it computes, while it commits, while it opens, while it goes
//! on; `--resume` goes on from the last checkpoint; what it says in the end is what it says when nobody disturbs it. In the middle of it the world is exported and imported
//! elsewhere, and goes on there as well.
//!
//! Short in every `cargo test`; at length by `cargo xtask faults story --kills N`. `EVERMOON_KEEP` names a folder for the snapshot that was taken in the middle.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Computes for a while, with all that a program may be in the middle of; its result depends on all of it.
const PROGRAM: &str = r#"
results = results or {}
local round = #results + 1
local state, sum = { n = round, list = {}, words = {} }, 0
local function counter() local n = 0 return function(by) n = n + by return n end end
local count = counter()
local generate = coroutine.wrap(function() local a = round while true do a = (a * 1103515245 + 12345) % 2147483648 coroutine.yield(a) end end)
local mt = { __index = function(t, k) return k % 7 end, __add = function(a, b) return (a.v or 0) + b end, __close = function(t) sum = sum + t.v end }
_home.rows = ext.table()
for step = 1, STEPS do
  local n = generate()
  state.list[#state.list + 1] = n % 1000
  if #state.list > 200 then
    table.sort(state.list, function(a, b) sum = sum + 1 return a < b end)
    sum = sum + state.list[100]
    state.list = { table.unpack(state.list, 1, 20) }
  end
  local text = ('step %d of %d'):format(step, n):gsub('%d+', function(d) return count(#d) end)
  state.words[step % 300 + 1] = text
  local ok, e = pcall(function()
    local c <close> = setmetatable({ v = step % 3 }, mt)
    if n % 11 == 0 then error({ n }) end
    return setmetatable({ v = n % 5 }, mt) + c[n]
  end)
  sum = sum + (ok and e or e[1]) % 1009
  if step % 20 == 0 then _home.rows[step % 997] = { step, text } end
  if step % 500 == 0 then for k, row in pairs(_home.rows) do sum = sum + k + row[1] end end
  state[step % 50] = { state[(step + 1) % 50] and 1 or 2, text }
end
local digest = 0
for _, w in ipairs(state.words) do for i = 1, #w do digest = (digest * 31 + w:byte(i)) % 4294967296 end end
results[round] = ('round %d: %d %d %d %d'):format(round, sum, count(0), digest, ext.count(_home.rows))
print(results[round])
"#;

fn evermoon(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evermoon"));
    for name in ["LUA_INIT", "LUA_INIT_5_4"] {
        command.env_remove(name);
    }
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs to the end; what it printed.
fn says(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether the world is in the middle of the program. (This opens it, and so recovers it after a kill.)
fn under_way(dir: &Path, world: &str) -> bool {
    let info = says(evermoon(dir).args(["world", "info", world]));
    info.contains("programs  1 under way")
}

fn results(dir: &Path, world: &str) -> Vec<String> {
    let show = "for _, r in ipairs(results or {}) do print(r) end";
    let said = says(evermoon(dir).args(["--world", world, "-e", show]));
    said.lines().map(str::to_owned).collect()
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[derive(Default, Debug)]
struct Count {
    kills: usize,
    /// Of them: it had not got as far as a checkpoint of this round.
    before_a_checkpoint: usize,
    /// Of them: in a process that had gone on from a checkpoint.
    going_on: usize,
    /// It was at its end before it could be killed.
    too_late: usize,
    rounds: usize,
    moved: usize,
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(otherwise)
}

#[test]
fn a_computing_program_is_killed_and_goes_on() {
    let kills = number("EVERMOON_KILLS", 12);
    let seed = number("EVERMOON_SEED", 1);
    let dir = std::env::temp_dir().join(format!("evermoon-story-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a place for it");
    let steps = number("EVERMOON_STEPS", 8_000);
    let program = PROGRAM.replace("STEPS", &steps.to_string());
    std::fs::write(dir.join("program.lua"), program).expect("a file");
    // How long it takes undisturbed, so that the kills fall everywhere.
    let began = std::time::Instant::now();
    let mut undisturbed = vec![says(evermoon(&dir).args([
        "--world",
        "undisturbed.world",
        "program.lua",
    ]))];
    let takes = began.elapsed();
    let mut dice = Dice((seed as u64 * 0x9E37_79B9_7F4A_7C15) | 1);
    let mut count = Count::default();
    let mut version = 0;
    while count.kills < kills || count.moved == 0 {
        let going_on = dir.join("a.world").is_file() && under_way(&dir, "a.world");
        let mut command = evermoon(&dir);
        command.args(["--world", "a.world", "--checkpoint", "0.01s"]);
        command.arg(if going_on { "--resume" } else { "program.lua" });
        let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
        // Some die while they open, the others anywhere.
        let most = match dice.below(6) {
            0 => Duration::from_millis(20),
            1 => takes / 4,
            _ => takes,
        };
        std::thread::sleep(Duration::from_micros(
            dice.below(most.as_micros() as u64 + 1),
        ));
        if child.try_wait().expect("it is ours").is_some() {
            count.too_late += 1;
        } else {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            count.kills += 1;
            count.going_on += usize::from(going_on);
        }
        // Recovery is killed too.
        for _ in 0..dice.below(3) {
            if !dir.join("a.world").is_file() {
                break;
            }
            let mut command = evermoon(&dir);
            command.args(["world", "info", "a.world"]);
            let mut child = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            std::thread::sleep(Duration::from_micros(dice.below(15_000)));
            if child.try_wait().expect("it is ours").is_none() {
                child.kill().expect("it is ours");
                child.wait().expect("it is ours");
                count.kills += 1;
            }
        }
        if !dir.join("a.world").is_file() {
            continue;
        }
        let still = under_way(&dir, "a.world");
        count.before_a_checkpoint += usize::from(!still && !going_on);
        let now = results(&dir, "a.world");
        // No acknowledged commit goes back.
        assert!(now.len() >= count.rounds, "{count:?}: {now:?}");
        count.rounds = now.len();
        while undisturbed.len() < now.len() {
            undisturbed.push(says(evermoon(&dir).args([
                "--world",
                "undisturbed.world",
                "program.lua",
            ])));
        }
        for (said, expected) in now.iter().zip(&undisturbed) {
            assert_eq!(*said, expected.trim_end(), "{count:?}, seed {seed}");
        }
        let seen = said_version(&dir);
        assert!(seen >= version, "{count:?}: version {seen} after {version}");
        version = seen;
        // Exported in the middle of it, it goes on elsewhere.
        if still && (count.moved == 0 || dice.below(20) == 0) {
            moves(&dir, &undisturbed, now.len());
            count.moved += 1;
        }
    }
    // And here.
    if under_way(&dir, "a.world") {
        says(evermoon(&dir).args(["--world", "a.world", "--resume"]));
        count.rounds += 1;
    }
    let now = results(&dir, "a.world");
    assert_eq!(now.len(), count.rounds);
    while undisturbed.len() < now.len() {
        let more = evermoon(&dir)
            .args(["--world", "undisturbed.world", "program.lua"])
            .output()
            .expect("it starts");
        undisturbed.push(String::from_utf8_lossy(&more.stdout).into_owned());
    }
    for (said, expected) in now.iter().zip(&undisturbed) {
        assert_eq!(*said, expected.trim_end());
    }
    let said = says(evermoon(&dir).args(["world", "verify", "a.world"]));
    assert!(said.contains("all is well"), "{said}");
    println!("{count:?}, version {version}; undisturbed it takes {takes:?}");
    std::fs::remove_dir_all(&dir).expect("ours");
}

fn said_version(dir: &Path) -> u64 {
    let info = says(evermoon(dir).args(["world", "info", "a.world"]));
    let line = info.lines().find_map(|line| line.strip_prefix("version"));
    line.and_then(|n| n.trim().parse().ok())
        .expect("it says its version")
}

/// Exports the world, imports it into a fresh one, and goes on there to the end of the round.
fn moves(dir: &Path, undisturbed: &[String], finished: usize) {
    let clear = |name: &str| {
        let _ = std::fs::remove_file(dir.join(name));
    };
    for name in ["moved.world", "moved.snapshot", "again.snapshot"] {
        clear(name);
    }
    says(evermoon(dir).args(["world", "export", "a.world", "moved.snapshot"]));
    says(evermoon(dir).args(["world", "import", "moved.snapshot", "moved.world"]));
    says(evermoon(dir).args(["world", "export", "moved.world", "again.snapshot"]));
    let read = |name: &str| std::fs::read(dir.join(name)).expect("it was written");
    assert!(
        read("moved.snapshot") == read("again.snapshot"),
        "equal worlds, equal bytes"
    );
    let said = says(evermoon(dir).args(["--world", "moved.world", "--resume"]));
    let now = results(dir, "moved.world");
    assert_eq!(now.len(), finished + 1);
    assert_eq!(now[finished], said.trim_end());
    if let Some(expected) = undisturbed.get(finished) {
        assert_eq!(now[finished], expected.trim_end());
    }
    // For Node: the snapshot, and what it must come to.
    if let Some(keep) = std::env::var_os("EVERMOON_KEEP").map(PathBuf::from) {
        std::fs::write(keep.join("story.snapshot"), read("moved.snapshot")).expect("a file");
        std::fs::write(keep.join("story.says"), &now[finished]).expect("a file");
    }
}
