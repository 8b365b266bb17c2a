//! One thing each.

use super::engine::Engine;

fn commit_and_reopen(mut engine: Engine) -> Engine {
    engine.commit().expect("it can be stored");
    engine.reopen()
}

#[test]
fn globals_tables_and_identity_come_back() {
    let mut e = Engine::new(10_000);
    e.run("a = { 1, 2.5, 'x', nil, true, k = { deep = { 1 } } } a.self = a b = a.k; t = {} t[a] = 'a' t[2.5] = false t[-7] = math.mininteger");
    let mut e = commit_and_reopen(e);
    let said = e.run("print(a[1], a[2], a[3], a[4], a[5], #a, a.self == a, b == a.k, b.deep[1], t[a], t[2.5], t[-7])");
    assert_eq!(
        said,
        "1\t2.5\tx\tnil\ttrue\t5\ttrue\ttrue\t1\ta\tfalse\t-9223372036854775808\n"
    );
}

#[test]
fn closures_share_their_upvalues() {
    let mut e = Engine::new(10_000);
    e.run("local n = 0 function up() n = n + 1 return n end function get() return n end up()");
    let mut e = commit_and_reopen(e);
    assert_eq!(e.run("print(up(), up(), get())"), "2\t3\t3\n");
    let mut e = commit_and_reopen(e);
    assert_eq!(e.run("up() print(get())"), "4\n");
}

#[test]
fn coroutines_go_on() {
    let mut e = Engine::new(10_000);
    e.run(
        "co = coroutine.create(function(a)
           local sum = a
           set = function(v) sum = v end
           for i = 1, 3 do
             local ok, v = pcall(function() return coroutine.yield(sum) + i end)
             sum = sum + v
           end
           return 'end', sum
         end)
         print(coroutine.resume(co, 1))",
    );
    let mut e = commit_and_reopen(e);
    assert_eq!(e.run("print(coroutine.resume(co, 10))"), "true\t12\n");
    let mut e = commit_and_reopen(e);
    assert_eq!(
        e.run("set(100) print(coroutine.resume(co, 20))"),
        "true\t122\n"
    );
    let mut e = commit_and_reopen(e);
    assert_eq!(
        e.run("print(coroutine.resume(co, 0)) print(coroutine.status(co))"),
        "true\tend\t125\ndead\n"
    );
}

#[test]
fn metatables_and_inheritance() {
    let mut e = Engine::new(10_000);
    e.run(
        "Base = {} Base.__index = Base function Base:name() return 'base ' .. self.n end
         Derived = setmetatable({}, { __index = Base }) Derived.__index = Derived
         Derived.__add = function(a, b) return a.n + b.n end
         x = setmetatable({ n = 1 }, Derived) y = setmetatable({ n = 2 }, Derived)",
    );
    let mut e = commit_and_reopen(e);
    assert_eq!(
        e.run("print(x:name(), x + y, getmetatable(x) == Derived)"),
        "base 1\t3\ttrue\n"
    );
    e.vm.world_evict();
    assert_eq!(
        e.run("print(y:name(), x + y, #('abc'):upper())"),
        "base 2\t3\t3\n"
    );
}

#[test]
fn a_commit_writes_what_changed() {
    let mut e = Engine::new(10_000);
    e.run("list = {} for i = 1, 10000 do list[i] = { value = i } end");
    let whole = e.commit().expect("it can be stored");
    assert_eq!(e.commit().expect("nothing to store"), 0);
    e.run("list[5000].value = 'changed'");
    let one = e.commit().expect("it can be stored");
    assert!(whole > 100_000 && one < 1000, "{whole} bytes, then {one}");
    let mut e = e.reopen();
    assert_eq!(
        e.run("print(list[4999].value, list[5000].value)"),
        "4999\tchanged\n"
    );
}

#[test]
fn a_rollback_forgets() {
    let mut e = Engine::new(10_000);
    e.run("n = 1 t = { 1, 2, 3 } function f() return n end local c = 0 function count() c = c + 1 return c end count()");
    e.commit().expect("it can be stored");
    e.run("n = 2 t[4] = 4 t.x = {} new = 1 count() count() math.randomseed(42)");
    e.vm.world_rollback().expect("there is a commit");
    assert_eq!(
        e.run("print(n, #t, t.x, new, f(), count())"),
        "1\t3\tnil\tnil\t1\t2\n"
    );
}

#[test]
fn what_cannot_be_stored_is_named() {
    let mut e = Engine::new(10_000);
    let host = e.vm.register("host", "nameless", |vm| vm.ret_none());
    let function =
        e.vm.heap
            .native_closure(host.bits as u32, &[])
            .expect("memory");
    let globals = e.vm.globals;
    let value = evermoon::heap::value::Value::native_closure(function);
    e.vm.raw_set_name(globals, "outside", value)
        .expect("memory");
    e.run("users = { {}, {}, { onclick = outside } } outside = nil");
    let error = e.commit().expect_err("it has no name");
    assert_eq!(error.path, "users[3].onclick", "{error}");
    e.run("users[3].onclick = nil");
    e.commit().expect("now it can");
    e.vm.set_permanent("click", value);
    e.vm.raw_set_name(globals, "outside", value)
        .expect("memory");
    e.commit().expect("it has a name");
    let mut e = e.reopen();
    let said = e.run("print(pcall(outside))");
    assert!(said.contains("the function 'click'"), "{said}");
}

#[test]
fn pairs_goes_on_where_it_was() {
    let mut e = Engine::new(10_000);
    e.run(
        "t = {} for i = 1, 20 do t['k' .. i] = i end for i = 5, 10 do t['k' .. i] = nil end
         co = coroutine.wrap(function() for k, v in pairs(t) do coroutine.yield(k) t[k] = nil end end)
         print(co(), co(), co())",
    );
    let mut e = commit_and_reopen(e);
    assert_eq!(e.run("print(co(), co(), co())"), "k4\tk11\tk12\n");
}

#[test]
fn large_tables_are_written_in_segments() {
    let mut e = Engine::new(10_000);
    e.run("big = {} for i = 1, 5000 do big[i] = i big['k' .. i] = i end");
    e.commit().expect("it can be stored");
    e.run("big[2500] = 'x' big.k77 = 'y'");
    let bytes = e.commit().expect("it can be stored");
    assert!(bytes < 10_000, "{bytes}");
    let mut e = e.reopen();
    assert_eq!(
        e.run("print(#big, big[2500], big[2501], big.k77, big.k78)"),
        "5000\tx\t2501\ty\t78\n"
    );
    e.run("for i = 100, 5000 do big[i] = nil end for i = 1, 5000 do big['k' .. i] = nil end");
    e.commit().expect("it can be stored");
    let mut e = e.reopen();
    assert_eq!(e.run("print(#big, next(big, 99))"), "99\tnil\n");
}

/// A record can say of a variable that it is open in a coroutine whose function closes none. Found by `volume world`: the variable outlived the stack.
#[test]
fn a_variable_that_no_function_closes_outlives_its_coroutine() {
    use evermoon::persist::key;
    use evermoon::persist::record::{Body, Record, salt};
    use evermoon::persist::value::Stored;

    let mut e = Engine::new(1_000);
    e.run(
        "local n = 'mine' function f() return n end
         co = coroutine.create(function() local x = 'its' coroutine.yield() return 1 end)
         coroutine.resume(co)",
    );
    e.commit().expect("it is stored");
    let records: Vec<(u32, Vec<u8>)> = e
        .map
        .borrow()
        .iter()
        .filter(|(k, _)| k[0] == b'o')
        .map(|(k, v)| {
            let id = u64::from_be_bytes(k[1..9].try_into().expect("a number"));
            (id as u32, v.clone())
        })
        .collect();
    let read = |id: u32, bytes| Record::read(salt(id, None), bytes).expect("it is whole");
    let variable = records
        .iter()
        .find(|(id, bytes)| read(*id, bytes).body == Body::Closed(Stored::Text(b"mine")))
        .expect("the variable");
    let mut changed = 0;
    for (id, bytes) in &records {
        let mut record = read(*id, bytes);
        if let Body::Coroutine(co) = &mut record.body
            && let Some(slot) = co.stack.iter().position(|v| *v == Stored::Text(b"its"))
        {
            co.open.push((slot as u32, variable.0));
            let mut out = Vec::new();
            record.write(salt(*id, None), &mut out);
            e.map.borrow_mut().insert(key::object(*id), out);
            changed += 1;
        }
    }
    assert_eq!(changed, 1);
    let mut e = e.reopen();
    let printed = e.run(
        "print(coroutine.resume(co)) co = nil collectgarbage() collectgarbage()
         for i = 1, 200 do coroutine.wrap(function() return i end)() end
         print(f())",
    );
    assert_eq!(printed, "true\t1\nits\n");
}
