//! Tracebacks (manual 6.10, `debug.traceback`): the calls in progress of a coroutine as text, the most recent first. Shared by the
//! debug library, the command line and the embedder's API. It changes nothing and runs no Lua, so it may be taken in any state.

use super::Vm;
use super::error::chunk_id;
use crate::heap::coroutine::{Coroutine, Frame, frame_flag, kind};
use crate::heap::object::Gc;

/// Of a stack that is deeper than both together, so many calls are shown at the top and at the bottom.
const SHOWN_FIRST: usize = 10;
const SHOWN_LAST: usize = 11;

impl Vm {
    /// The traceback of a coroutine from `level` on (0 is its running function), below `message` if there is one.
    pub fn traceback(&mut self, co: Gc<Coroutine>, message: Option<&[u8]>, level: i64) -> Vec<u8> {
        let mut text = Vec::new();
        if let Some(message) = message {
            text.extend_from_slice(message);
            text.push(b'\n');
        }
        text.extend_from_slice(b"stack traceback:");
        // Frames can be looked at by index only, since finding names needs the whole engine.
        let frames = self.exec_of(&co).frames();
        let counted = |f: &Frame| !matches!(f.kind, kind::BOTTOM | kind::ENTRY);
        let levels: Vec<usize> = (0..frames.len())
            .rev()
            .filter(|&i| counted(&frames[i]))
            .collect();
        let Some(shown) = usize::try_from(level)
            .ok()
            .and_then(|level| levels.get(level..))
        else {
            return text;
        };
        let skipped = if shown.len() > SHOWN_FIRST + SHOWN_LAST + 1 {
            shown.len() - SHOWN_FIRST - SHOWN_LAST
        } else {
            0
        };
        for (n, &index) in shown.iter().enumerate() {
            if skipped > 0 && n == SHOWN_FIRST {
                // One more is left out than the reference says, and we say what it says.
                text.extend_from_slice(
                    format!("\n\t...\t(skipping {} levels)", skipped - 1).as_bytes(),
                );
            }
            if skipped > 0 && (SHOWN_FIRST..SHOWN_FIRST + skipped).contains(&n) {
                continue;
            }
            self.traceback_line(co, index, &mut text);
        }
        text
    }

    fn traceback_line(&mut self, co: Gc<Coroutine>, index: usize, text: &mut Vec<u8>) {
        let exec = self.exec_of(&co);
        let frame = exec.frames()[index];
        let function = self.frame_function(exec, &frame);
        let proto = self.frame_proto(&frame);
        let source = proto
            .as_ref()
            .map_or(b"[C]".to_vec(), |proto| match &proto.info().source {
                Some(source) => chunk_id(source),
                None => b"?".to_vec(),
            });
        let line = proto
            .as_ref()
            .and_then(|proto| proto.line(self.frame_pc(&frame)));
        let called = self.call_name(exec, index);
        text.extend([b"\n\t", &source[..]].concat());
        if let Some(line) = line {
            text.extend(format!(":{line}").into_bytes());
        }
        text.extend(b": in ");
        if let Some(name) = self.loaded_name(function) {
            text.extend([b"function '", &name[..], b"'"].concat());
        } else if let Some((kind, name)) = called {
            text.extend([kind.as_bytes(), b" '", &name, b"'"].concat());
        } else {
            match proto.map(|proto| proto.info().line_defined) {
                None => text.extend(b"?"),
                Some(0) => text.extend(b"main chunk"),
                Some(line) => {
                    text.extend([b"function <", &source[..]].concat());
                    text.extend(format!(":{line}>").into_bytes());
                }
            }
        }
        if frame.flags & frame_flag::TAIL != 0 {
            text.extend_from_slice(b"\n\t(...tail calls...)");
        }
    }
}
