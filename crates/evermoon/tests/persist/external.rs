//! External tables: what programs see of them is the same whether rows are in memory, in the store or on their way.

use super::disturbed::{Disturbance, Program, run};
use super::engine::{Ended, Engine};

/// Runs a program in four settings; it must say the same in all: nothing committed before, committed, committed and let go, opened anew.
fn everywhere(setup: &str, program: &str, said: &str) {
    for how in 0..4 {
        let mut e = Engine::new(10_000);
        assert_eq!(e.run(setup), "", "setup");
        if how > 0 {
            e.commit().expect("it can be stored");
        }
        if how == 2 {
            e.vm.world_evict();
        }
        if how == 3 {
            e = e.reopen();
        }
        assert_eq!(e.run(program), said, "setting {how}");
        // And once more from the store: what the program did has been committed.
        e.commit().expect("it can be stored");
    }
}

#[test]
fn rows_come_in_the_order_of_their_keys() {
    everywhere(
        "t = ext.table()
         for _, k in ipairs { 'b', 3, 2.5, true, 'a', -1, math.huge, false, '', 2^53, math.maxinteger, 9007199254740993, 'ab', -math.huge, 3.0 } do
           t[k] = tostring(k)
         end",
        "for k, v in pairs(t) do out = (out or '') .. v .. ' ' end
         print(out, type(t), ext.is(t), ext.is({}), rawequal(t, t), #t == math.maxinteger, getmetatable(t))",
        "false true -inf -1 2.5 3.0 9.007199254741e+15 9007199254740993 9223372036854775807 inf  a ab b \ttable\ttrue\tfalse\ttrue\ttrue\tnil\n",
    );
}

#[test]
fn it_is_used_like_a_table() {
    everywhere(
        "t = ext.table() for i = 1, 5 do t[i] = i * 10 end t.name = 'n' t.sub = { 1 }",
        "t[6] = 60 t[2] = nil t[#t + 1] = 70
         print(#t, rawlen(t), t[7], t[2], rawget(t, 3), rawset(t, 3, 31) == t, t[3], t[3.0])
         table.insert(t, 80) print(table.remove(t), table.concat(t, ',', 3, 7), table.unpack(t, 5, 7))
         for i, v in ipairs(t) do print('i', i, v) end
         print(next(t), next(t, 1), next(t, 'zz'), next(t, 'sub'))
         print(('x name y'):gsub('%a+', t))
         t.sub[2] = 2 print(#t.sub, t.absent, t[{}], t[print])
         print(pcall(function() t[{}] = 1 end)) print(pcall(function() t[nil] = 1 end)) print(pcall(function() t[0/0] = 1 end))
         print(pcall(function() t[('x'):rep(2000)] = 1 end)) print(t[('x'):rep(2000)])
         print(pcall(setmetatable, {}, t))
         table.sort(t, function(a, b) return (a or 0) > (b or 0) end) print(t[1], t[7])",
        "7\t7\t70\tnil\t30\ttrue\t31\t31
80\t31,40,50,60,70\t50\t60\t70
i\t1\t10
1\t3\tnil\tnil
x n y\t3
2\tnil\tnil\tnil
false\ttest:8: a key of an external table is a boolean, number or string, not a table
false\ttest:8: table index is nil
false\ttest:8: table index is NaN
false\ttest:9: string too long for a key of an external table
nil
false\tbad argument #2 to 'setmetatable' (an external table cannot be a metatable)
10\t70
"
    );
}

#[test]
fn metatables_work() {
    everywhere(
        "log = {}
         t = setmetatable(ext.table(), {
           __index = function(_, k) return 'no ' .. tostring(k) end, __len = function() return 42 end,
           __call = function(_, a) return a end, __add = function(_, b) return b end, __tostring = function() return 'T' end })
         t.a = 1
         u = setmetatable({}, { __index = t })
         w = setmetatable(ext.table(), { __newindex = function(w, k, v) rawset(w, k, v * 2) end })
         w.x = 1",
        "print(t.a, t.b, #t, t(5), t + 7, tostring(t), rawget(t, 'b'), u.a, u.zz, rawlen(t))
         w.x = 5 w.y = 10 print(w.x, w.y)
         setmetatable(t, nil) print(t.b, #t, getmetatable(t), t.a)",
        "1\tno b\t42\t5\t7\tT\tnil\t1\tno zz\t0
5\t20
nil\t0\tnil\t1
",
    );
}

#[test]
fn pairs_while_rows_change() {
    everywhere(
        "t = ext.table() for i = 1, 300 do t[i] = i end",
        "local seen, n = 0, 0
         for k, v in pairs(t) do
           n = n + 1 seen = seen + k
           if k % 2 == 0 then t[k] = nil elseif v ~= 'new' then t[k] = -v end
           if k == 100 then t[250.5] = 'new' t[50.5] = 'behind' end
         end
         print(n, seen, ext.count(t), ext.count(t, 1, 50), t[250.5], t[2], t[3])
         for k in pairs(t) do t[k] = nil end
         print(next(t), ext.count(t), #t)",
        "301\t45400.5\t152\t25\tnew\tnil\t-3\nnil\t0\t0\n",
    );
}

#[test]
fn ranges_both_ways() {
    everywhere(
        "t = ext.table() for i = 1, 200 do t[i] = i end for _, k in ipairs { 'a', 'ab', 'b', 'c' } do t[k] = k end t[-5] = 'm'",
        "local function show(...) local s = {} for k in ext.range(...) do s[#s + 1] = tostring(k) end print(table.concat(s, ' ')) end
         t[7] = nil t[6.5] = 1 t.aa = 1
         show(t, 5, 9) show(t, 5, 9, { reverse = true }) show(t, 150, nil, { limit = 3 }) show(t, nil, nil, { reverse = true, limit = 7 })
         show(t, 'a', 'b') show(t, 'ab', 'a') show(t, nil, 1) show(t, 197, 'a', { reverse = true }) show(t, 1, 9, { limit = 0 })
         print(ext.count(t), ext.count(t, 'a'), ext.count(t, nil, 0), ext.count(t, 6, 8))
         local sum = 0 for k, v in ext.range(t, 1, 200) do if v then sum = sum + k t[k] = nil end end print(sum, ext.count(t))
         print(pcall(ext.range, {}, 1)) print(pcall(ext.range, t, {}))
         ext.clear(t) print(next(t), ext.count(t), t.a) t.z = 1 show(t) print(t.z)",
        "5 6 6.5 8 9
9 8 6.5 6 5
150 151 152
c b ab aa a 200 199
a aa ab b

-5 1
a 200 199 198 197

206\t5\t1\t3
20099.5\t6
false\tbad argument #1 to 'ext.range' (external table expected, got table)
false\tbad argument #2 to 'ext.range' (boolean, number or string expected, got table)
nil\t0\tnil
z
1
",
    );
}

#[test]
fn values_keep_their_identity() {
    let mut e = Engine::new(10_000);
    e.run(
        "a = ext.table() b = ext.table() local shared = { n = 1 }
         a.x = shared b.y = shared a.b = b b.a = a plain = { ext = b, shared = shared }
         a.f = function() shared.n = shared.n + 1 return shared.n end
         a.co = coroutine.wrap(function() while true do coroutine.yield(shared) end end)
         a.long = ('long'):rep(1000)",
    );
    e.commit().expect("it can be stored");
    for round in 0..3 {
        let said = e.run(
            "print(a.x == b.y, a.b == b, b.a == a, plain.ext == b, plain.shared == a.x, a.co() == a.x, a.f() == a.x.n, a.x.n, #a.long)",
        );
        let n = round + 2;
        assert_eq!(
            said,
            format!("true\ttrue\ttrue\ttrue\ttrue\ttrue\ttrue\t{n}\t4000\n")
        );
        e.commit().expect("it can be stored");
        e.vm.world_evict();
        e.run("collectgarbage() collectgarbage()");
        if round == 1 {
            e = e.reopen();
        }
    }
}

#[test]
fn what_only_a_row_in_the_store_refers_to_lives_on() {
    let mut e = Engine::new(10_000);
    e.run("t = ext.table() for i = 1, 5000 do t[i] = { i } end");
    e.commit().expect("it can be stored");
    for _ in 0..3 {
        e.run("collectgarbage() collectgarbage()");
        e.vm.world_evict();
        e.run("x = t[17][1] collectgarbage()");
        e.commit().expect("it can be stored");
    }
    let mut e = e.reopen();
    let said =
        e.run("local sum = 0 for k, v in pairs(t) do sum = sum + v[1] end print(sum, x, #t)");
    assert_eq!(said, "12502500\t17\t5000\n");
}

#[test]
fn uncommitted_rows_are_forgotten_by_a_rollback() {
    let mut e = Engine::new(10_000);
    e.run("t = ext.table() for i = 1, 10 do t[i] = i end t.obj = { 1 } mt = { __index = function() return 'd' end }");
    e.commit().expect("it can be stored");
    e.run("t[3] = 'changed' t[4] = nil t[11] = 11 t.obj[1] = 2 t.new = ext.table() t.new.x = 1 setmetatable(t, mt)");
    assert_eq!(
        e.run("print(t[3], t[4], t[11], t.new.x, t.q)"),
        "changed\td\t11\t1\td\n"
    );
    e.vm.world_rollback().expect("it goes back");
    let asked = "print(t[3], t[4], t[11], t.new, t.obj[1], #t, ext.count(t), t.q)";
    assert_eq!(e.run(asked), "3\t4\tnil\tnil\t1\t10\t11\tnil\n");
    e.run("ext.clear(t) t.y = 1");
    e.vm.world_rollback().expect("it goes back");
    assert_eq!(e.run(asked), "3\t4\tnil\tnil\t1\t10\t11\tnil\n");
    e.run("ext.clear(t) t[1] = 'one'");
    e.commit().expect("it can be stored");
    let mut e = e.reopen();
    assert_eq!(e.run("print(t[1], t[3], ext.count(t))"), "one\tnil\t1\n");
}

#[test]
fn a_commit_that_fails_leaves_the_rows_changed() {
    let mut e = Engine::new(10_000);
    e.run("t = ext.table() t.a = 1 t.b = 2");
    e.commit().expect("it can be stored");
    e.run("t.a = 10 t.b = nil t.c = 3");
    e.vm.world_delta().expect("it can be encoded");
    // The program runs on while the commit is under way.
    let asked = "print(t.a, t.b, t.c, t.d, ext.count(t))";
    assert_eq!(
        e.run(&format!("{asked} t.d = 4 {asked}")),
        "10\tnil\t3\tnil\t2\n10\tnil\t3\t4\t3\n"
    );
    e.vm.world_commit_failed();
    assert_eq!(e.run(asked), "10\tnil\t3\t4\t3\n");
    e.commit().expect("it can be stored");
    let mut e = e.reopen();
    assert_eq!(e.run(asked), "10\tnil\t3\t4\t3\n");
    // Cleared while a commit is under way, which then fails.
    e.run("t.e = 5");
    e.vm.world_delta().expect("it can be encoded");
    assert_eq!(
        e.run(&format!("ext.clear(t) t.z = 1 {asked}")),
        "nil\tnil\tnil\tnil\t1\n"
    );
    e.vm.world_commit_failed();
    assert_eq!(e.run(asked), "nil\tnil\tnil\tnil\t1\n");
    e.commit().expect("it can be stored");
    let mut e = e.reopen();
    assert_eq!(
        e.run(&format!("{asked} print(t.z, t.e)")),
        "nil\tnil\tnil\tnil\t1\n1\tnil\n"
    );
}

#[test]
fn a_dead_table_takes_its_rows_with_it() {
    let mut e = Engine::new(10_000);
    e.run("t = ext.table() for i = 1, 100 do t[i] = i end kept = ext.table() kept.x = 1");
    e.commit().expect("it can be stored");
    let rows = |e: &Engine| e.map.borrow().keys().filter(|k| k[0] == b'x').count();
    assert_eq!(rows(&e), 101);
    e.run("t = nil collectgarbage() collectgarbage()");
    e.commit().expect("it can be stored");
    assert_eq!(rows(&e), 1);
}

#[test]
fn only_changed_rows_are_written() {
    let mut e = Engine::new(10_000);
    e.run("t = ext.table() for i = 1, 10000 do t[i] = 'row ' .. i end");
    e.commit().expect("it can be stored");
    e.run("t[5000] = 'x'");
    let delta = e.vm.world_delta().expect("it can be encoded");
    let rows = delta
        .writes
        .iter()
        .filter(|w| matches!(w, evermoon::persist::Write::Put(k, _) if k[0] == b'x'));
    assert_eq!(rows.count(), 1);
    e.vm.world_commit_failed();
}

#[test]
fn a_store_without_scans_has_none() {
    struct Nothing;
    impl evermoon::persist::Backing for Nothing {
        fn get(&mut self, _: &[u8]) -> evermoon::persist::Fetch {
            evermoon::persist::Fetch::Missing
        }
    }
    let lua = evermoon::Lua::builder()
        .world(Nothing)
        .build()
        .expect("it opens");
    let error = lua.load("ext.table()").exec().expect_err("it cannot be");
    assert!(error.to_string().contains("it has no scans"), "{error}");
}

/// Everything at once, by chance, with commits, letting go and new engines at every so many instructions.
#[test]
fn programs_print_the_same_whatever_happens_to_the_store() {
    let source = r#"
        local t, plain = ext.table(), {}
        t.inner = ext.table()
        local function key(n)
          local kind = n % 5
          if kind == 0 then return 'k' .. n elseif kind == 1 then return n / 4 elseif kind == 2 then return n % 3 == 0
          elseif kind == 3 then return ('long'):rep(20) .. n end
          return n
        end
        for i = 1, 3000 do
          local k = key(math.random(400))
          local how = math.random(12)
          if how == 1 then t[k] = nil plain[k] = nil
          elseif how <= 4 then local v = { i } t[k] = v plain[k] = v t.inner[i % 50] = v
          elseif how <= 8 then t[k] = i plain[k] = i
          elseif how == 9 and i % 200 == 9 then ext.clear(t) plain = {} t.inner = ext.table()
          elseif how == 10 then
            local n = 0
            for k2, v in ext.range(t, 1, 'k3', { limit = 10, reverse = i % 2 == 0 }) do
              n = n + 1 assert(k2 == 'inner' or plain[k2] == v)
              if n == 5 and k2 ~= 'inner' then t[k2] = nil plain[k2] = nil end
            end
            if i % 10 == 0 then collectgarbage() end
          else assert(t[k] == plain[k], i) end
          if i % 300 == 0 then
            local n, sum = 0, 0
            for k2, v in pairs(t) do
              if k2 ~= 'inner' then assert(plain[k2] == v) n = n + 1 end
              sum = sum + #tostring(k2)
            end
            local m = 0
            for _ in pairs(plain) do m = m + 1 end
            assert(n == m and ext.count(t) == n + 1)
            local i2 = 0
            for k2, v in pairs(t.inner) do i2 = i2 + v[1] end
            print(i, n, sum, i2, #t, t[k] == plain[k])
          end
        end
        "#;
    let program = Program::new("=test", source);
    let undisturbed = run(&program, None);
    assert_eq!(undisturbed.ended, Ended::Done);
    for (slice, reopen) in [(100, 7), (1_000, 3), (5_000, 1), (700, 0)] {
        let evict = true;
        let how = Disturbance {
            slice,
            evict,
            reopen,
            late: false,
        };
        let disturbed = run(&program, Some(how));
        assert_eq!(undisturbed.difference(&disturbed), "", "{how:?}");
    }
}
