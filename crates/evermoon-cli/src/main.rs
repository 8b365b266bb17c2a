//! Temporary driver.
use evermoon::heap::value::Value;
use evermoon::vm::{Exit, Limits, Vm};
mod clock;
mod host;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut vm = Vm::new(Limits::default());
    vm.host = Box::new(host::StdHost::new());
    evermoon::stdlib::open(&mut vm).ok().unwrap();
    evermoon::stdlib::open_os_io(&mut vm).ok().unwrap();
    let env = Value::table(vm.globals);
    let f = match evermoon::stdlib::load::load(&mut vm, &bytes, format!("@{path}").as_bytes(), evermoon::stdlib::load::Mode::ANY, env).ok().unwrap() {
        Ok(f) => f,
        Err(e) => { eprintln!("{}", String::from_utf8_lossy(&e)); std::process::exit(1) }
    };
    let main = evermoon::stdlib::entry_point(&mut vm);
    let entry = vm.enter_at(main, &[f], None).ok().unwrap();
    loop {
        match vm.run() {
            Exit::Slice => {}
            Exit::Done => { vm.leave(); break }
            Exit::Failed => { let mut o = Vec::new(); let e = vm.error; vm.display(e, &mut o); drop(vm); eprintln!("{}", String::from_utf8_lossy(&o)); std::process::exit(1) }
            Exit::HostCall if vm.exit_requested.is_some() => { let e = vm.exit_requested.unwrap(); let code = e.code; if e.close { vm.unwind_entry(entry); while vm.run() == Exit::Slice {} } drop(vm); std::process::exit(code) }
            e => panic!("{e:?}"),
        }
    }
}
