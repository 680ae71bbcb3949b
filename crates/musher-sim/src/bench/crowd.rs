//! What one dispatch costs with few agents idle and with many, and with few items waiting and with many.

use std::time::{Duration, Instant};

use musher_core::effect::EffectKind;
use musher_core::entropy::Entropy;
use musher_engine::machine::Machine;
use musher_store::Store as _;

use super::growth::{CommitClock, Timed};
use super::material::{self, Stand};
use super::{BenchError, Figure, Options, START, fresh, middle_and_p99, open, remove};

/// Items a mission.
const EACH: u32 = 1_000;

pub(super) fn measure(options: &Options, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let (agents, items) = if options.quick { (1_000, 10_000) } else { (10_000, 1_000_000) };
    // The mission has room for one item: the agents have nothing to do, though items wait.
    let idle = |agents| Stage { agents, items: EACH, parallel: 1, skill: false };
    let few = dispatch(options, idle(10), "agents idle: 10", figures)?;
    let many = dispatch(options, idle(agents), &format!("agents idle: {agents}"), figures)?;
    figures.push(Figure::at_most("… the many to the few", many / few, "×", 1.5));
    // The missions have room for all: the one agent has not.
    let waiting = |items| Stage { agents: 1, items, parallel: EACH, skill: false };
    let few = dispatch(options, waiting(EACH), "items waiting: 1000", figures)?;
    let many = dispatch(options, waiting(items), &format!("items waiting: {items}"), figures)?;
    figures.push(Figure::at_most("… the many to the few", many / few, "×", 1.5));
    // Both at once: all items want what only one agent can, and the others have nothing to do.
    let both = |agents, items| Stage { agents, items, parallel: EACH, skill: true };
    let few = dispatch(options, both(10, EACH), "idle and waiting: 10, 1000", figures)?;
    let name = format!("idle and waiting: {agents}, {items}");
    let many = dispatch(options, both(agents, items), &name, figures)?;
    figures.push(Figure::at_most("… the many to the few", many / few, "×", 1.5));
    Ok(())
}

/// Who and what there is.
struct Stage {
    agents: u32,
    items: u32,
    parallel: u32,
    /// Whether the items want what only one more agent can.
    skill: bool,
}

/// The median of a batch in which one item is dispatched, in seconds, commit included.
fn dispatch(options: &Options, stage: Stage, name: &str, figures: &mut Vec<Figure>) -> Result<f64, BenchError> {
    let folder = fresh(&options.dir, "crowd")?;
    {
        let mut entropy = Entropy::from_seed(6);
        let mut store = open(&folder)?;
        store.load()?;
        let agents = match stage.skill {
            true => material::one_skilled(stage.agents, &mut entropy)?,
            false => material::agents(stage.agents, 1, &mut entropy)?,
        };
        material::write(&mut store, &[agents])?;
        for _ in 0..stage.items / EACH {
            let (_, mut change) = material::mission(EACH, stage.parallel, Stand::ReadyWithWorktree, &mut entropy)?;
            if stage.skill {
                material::want_skill(&mut change);
            }
            material::write(&mut store, &[change])?;
        }
    }
    let clock = CommitClock::default();
    let store = Timed { inner: Box::new(open(&folder)?), clock: clock.clone() };
    let mut machine = Machine::load(Box::new(store), 13)?;
    let (mut whole, mut deciding) = (Vec::new(), Vec::new());
    let mut now = START.after(Duration::from_secs(1));
    let mut open = machine.batch(&[], now)?.effects;
    let count = if options.quick { 100 } else { 400 };
    while whole.len() < count {
        now = now.after(Duration::from_millis(1));
        let inputs: Vec<_> = open.iter().map(material::answer).collect();
        clock.take();
        let started = Instant::now();
        open = machine.batch(&inputs, now)?.effects;
        let took = started.elapsed().as_secs_f64();
        let begun = open.iter().filter(|effect| matches!(effect.kind, EffectKind::StartRun(_))).count();
        if begun > 1 || open.is_empty() {
            return Err(BenchError::Machine(format!("{begun} runs began in a batch of {} effects", open.len())));
        }
        if begun == 1 {
            whole.push(took);
            deciding.push((took - clock.take()).max(0.0));
        }
    }
    drop(machine);
    remove(&folder)?;
    let (middle, p99) = middle_and_p99(whole);
    figures.push(Figure::plain(format!("one dispatch, {name}, median"), middle * 1e6, "µs"));
    figures.push(Figure::plain("… p99", p99 * 1e6, "µs"));
    figures.push(Figure::plain("… median without the commit", middle_and_p99(deciding).0 * 1e6, "µs"));
    Ok(middle)
}
