//! Locals that live on from one line of the interactive loop to the next.
//!
//! A line is compiled inside a function that declares the locals of earlier lines, so that they are its upvalues, and those upvalues are then
//! joined with the variables themselves (`debug.upvaluejoin`). At its end a line hands out closures over the locals it has declared; each of
//! them is a variable for the lines to come. So closures made in one line share the variable with the next, as they would in one chunk.

use crate::session::Session;
use evermoon::syntax::parser::{Limits, parse};
use evermoon::syntax::tree::{Attrib, StatKind};
use evermoon::{Function, Lua, Result as LuaResult, Value, Variadic};
use std::cell::RefCell;
use std::rc::Rc;

/// A local: its name, and a closure whose first upvalue it is.
type Local = (String, Function);

pub struct Scope {
    /// Visible locals; a name is there once.
    locals: Vec<Local>,
    /// What the line under way has handed out: kept once it has run.
    fresh: Rc<RefCell<Vec<Local>>>,
    names: Rc<RefCell<Vec<String>>>,
    capture: Function,
    join: Function,
    get: Function,
}

/// So many locals are carried on; the oldest go first. A function may have 255 upvalues.
const LOCALS_MAX: usize = 150;
/// The name under which a line finds the function that takes its locals.
const CAPTURE: &str = "_EVERMOON_CAPTURE";

impl Scope {
    /// Needs the debug library.
    pub fn new(session: &Session) -> Option<Scope> {
        let debug = session.library("debug")?;
        let join = debug.raw_get("upvaluejoin").ok()?;
        let get = debug.raw_get("getupvalue").ok()?;
        let fresh: Rc<RefCell<Vec<Local>>> = Rc::default();
        let names: Rc<RefCell<Vec<String>>> = Rc::default();
        let (to, of) = (fresh.clone(), names.clone());
        let capture = session
            .lua
            .create_function(move |_: &Lua, variables: Variadic<Function>| {
                *to.borrow_mut() = of.borrow().iter().cloned().zip(variables).collect();
                Ok(())
            })
            .ok()?;
        Some(Scope {
            locals: Vec::new(),
            fresh,
            names,
            capture,
            join,
            get,
        })
    }

    /// Compiles a line that compiles by itself; `None` if that cannot be done with the locals around it.
    pub fn compile(&mut self, session: &Session, source: &[u8]) -> Option<Function> {
        let (declared, ends_in_return) = declared_locals(source)?;
        if self.locals.is_empty() && declared.is_empty() {
            return None;
        }
        let visible: Vec<&str> = self
            .locals
            .iter()
            .map(|(name, _)| name.as_str())
            .chain([CAPTURE])
            .collect();
        // All on the first line, so that the line's own numbers stay.
        let mut text = format!("local {} return function(...) ", visible.join(", ")).into_bytes();
        text.extend_from_slice(source);
        if !declared.is_empty() && !ends_in_return {
            let closures: Vec<String> = declared
                .iter()
                .map(|(name, constant)| match constant {
                    false => format!("function() return {name} end"),
                    true => format!("(function(v) return function() return v end end)({name})"),
                })
                .collect();
            text.extend_from_slice(format!("\n{CAPTURE}({})", closures.join(", ")).as_bytes());
        }
        text.extend_from_slice(b"\nend");
        let outer = session
            .lua
            .load(&text)
            .set_name("=stdin")
            .into_function()
            .ok()?;
        let function: Function = outer.call(()).ok()?;
        self.join_upvalues(&function, &session.lua).ok()?;
        *self.names.borrow_mut() = if ends_in_return {
            Vec::new()
        } else {
            declared.into_iter().map(|(name, _)| name).collect()
        };
        self.fresh.borrow_mut().clear();
        Some(function)
    }

    fn join_upvalues(&self, function: &Function, lua: &Lua) -> LuaResult<()> {
        let capture = self.capture.clone();
        let holder: Function = lua
            .load("local f = ... return function() return f end")
            .call(capture)?;
        for index in 1..=255 {
            let name: Value = self.get.call((function, index))?;
            let Some(name) = name.as_str() else { break };
            let variable = if name == CAPTURE {
                Some(&holder)
            } else {
                self.locals
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, variable)| variable)
            };
            if let Some(variable) = variable {
                self.join.call::<()>((function, index, variable, 1))?;
            }
        }
        Ok(())
    }

    /// Takes over the locals of the line that has just run.
    pub fn keep(&mut self) {
        for (name, variable) in self.fresh.borrow_mut().drain(..) {
            self.locals.retain(|(known, _)| *known != name);
            self.locals.push((name, variable));
        }
        let surplus = self.locals.len().saturating_sub(LOCALS_MAX);
        self.locals.drain(..surplus);
    }
}

/// A local that a line declares, and whether it is a constant: those have no variable to share, so their value is carried on in a new one.
type Declared = (String, bool);

/// The locals that a chunk declares at its outermost level, and whether it ends in a `return`. To-be-closed variables are not carried
/// on, for they are closed when the line ends.
fn declared_locals(source: &[u8]) -> Option<(Vec<Declared>, bool)> {
    let tree = parse(source, &Limits::default()).ok()?;
    let body = tree.block(tree.functions.last()?.body);
    let mut names: Vec<Declared> = Vec::new();
    let mut declare = |local: &evermoon::syntax::tree::LocalName| {
        let name = String::from_utf8_lossy(tree.symbol(local.name)).into_owned();
        names.retain(|(known, _)| *known != name);
        if local.attrib != Attrib::Close {
            names.push((name, local.attrib == Attrib::Const));
        }
    };
    for stat in body {
        match stat.kind {
            StatKind::Local { names, .. } => tree.names(names).iter().for_each(&mut declare),
            StatKind::LocalFunction { name, .. } => declare(&name),
            _ => {}
        }
    }
    let ends_in_return = matches!(body.last().map(|s| s.kind), Some(StatKind::Return { .. }));
    Some((names, ends_in_return))
}
