//! Temporary driver.
use evermoon::heap::value::Value;
use evermoon::vm::{Exit, Limits, Vm, host::Host};
struct H;
impl Host for H {
    fn print(&mut self, bytes: &[u8]) {
        use std::io::Write;
        std::io::stdout().write_all(bytes).unwrap();
    }
}
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut vm = Vm::new(Limits::default());
    vm.host = Box::new(H);
    evermoon::stdlib::open(&mut vm).ok().unwrap();
    let env = Value::table(vm.globals);
    let f = match evermoon::stdlib::load::load(&mut vm, &bytes, format!("@{path}").as_bytes(), evermoon::stdlib::load::Mode::ANY, env).ok().unwrap() {
        Ok(f) => f,
        Err(e) => { eprintln!("{}", String::from_utf8_lossy(&e)); std::process::exit(1) }
    };
    vm.enter(f, &[], None).ok().unwrap();
    loop {
        match vm.run() {
            Exit::Slice => {}
            Exit::Done => { vm.leave(); break }
            Exit::Failed => { let mut o = Vec::new(); let e = vm.error; vm.display(e, &mut o); eprintln!("{}", String::from_utf8_lossy(&o)); std::process::exit(1) }
            e => panic!("{e:?}"),
        }
    }
}
