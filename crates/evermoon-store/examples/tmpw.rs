use evermoon_store::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let opt = || WorldOptions {
        engine: evermoon::Lua::builder().memory(64 << 20),
        resident_max: 24 << 20,
        ..WorldOptions::default()
    };
    if a[1] == "fill" {
        let _ = std::fs::remove_file("/tmp/wb/w");
        let store = RedbStore::open("/tmp/wb/w", RedbOptions::default()).unwrap();
        let mut w = World::open_boxed(
            Box::new(store),
            WorldOptions {
                durability: Durability::Relaxed,
                ..opt()
            },
        )
        .unwrap();
        w.run("all={} function fill(part) local t={} for i=1,1000 do t[i]={ id = i + part * 1000, name = 'object ' .. i, on = true, text = ('x'):rep(30) } end all[part+1]=t end").unwrap();
        let n: i64 = a[2].parse().unwrap();
        for p in 0..n {
            w.call::<()>("fill", p).unwrap();
        }
        w.run("").unwrap();
        w.close().unwrap().rest().unwrap();
    } else {
        let store = RedbStore::open("/tmp/wb/w", RedbOptions::default()).unwrap();
        let mut w = World::open_boxed(Box::new(store), opt()).unwrap();
        let s = std::time::Instant::now();
        let c: i64 = w.eval("local n = 0 for _, part in ipairs(all) do for _, o in ipairs(part) do if o.on then n = n + 1 end end end return n").unwrap();
        println!(
            "{c} {:?} resident {}",
            s.elapsed(),
            w.lua().resident_memory()
        );
        println!(
            "{}",
            std::fs::read_to_string("/proc/self/status")
                .unwrap()
                .lines()
                .find(|l| l.starts_with("VmHWM"))
                .unwrap()
        );
    }
}
