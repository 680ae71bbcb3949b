//! Slots: numbers that keep two live runs out of each other's ports and databases.
//!
//! Who holds which slot is remembered elsewhere; here is only which one comes next and what it means.

use std::collections::BTreeSet;

/// The first port of slot 0, unless another one is configured.
pub const DEFAULT_PORT_BASE: u16 = 20_000;

/// How many ports a slot has.
pub const PORTS_PER_SLOT: u16 = 10;

/// A slot whose ports would lie beyond the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot} has no ports: from {base} on there is room for {room} slots of {PORTS_PER_SLOT} ports")]
pub struct NoPorts {
    /// The slot.
    pub slot: u32,
    /// The first port of slot 0.
    pub base: u16,
    /// How many slots there are from there on.
    pub room: u32,
}

impl NoPorts {
    /// Says what to do about it.
    pub const fn fix(self) -> &'static str {
        "choose a lower base for the ports, or run fewer agents at a time"
    }
}

/// The lowest slot that nobody holds.
pub fn lowest_free(in_use: &BTreeSet<u32>) -> u32 {
    // The numbers in use come in order, so the first that differs from its place leaves that place free.
    let gap = in_use.iter().zip(0..).take_while(|(used, place)| *used == place).count();
    u32::try_from(gap).unwrap_or(u32::MAX)
}

/// The first of a slot's ports, 0 to 65,535.
///
/// # Errors
/// The slot's last port would lie beyond 65,535.
pub fn port_base(base: u16, slot: u32) -> Result<u16, NoPorts> {
    let room = (u32::from(u16::MAX) + 1 - u32::from(base)) / u32::from(PORTS_PER_SLOT);
    if slot >= room {
        return Err(NoPorts { slot, base, room });
    }
    // Below 65,536, because the slot is one of those that there is room for.
    Ok(base + slot as u16 * PORTS_PER_SLOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_slot_is_the_first_gap() {
        for (in_use, free) in [(vec![], 0), (vec![0], 1), (vec![1, 2], 0), (vec![0, 1, 3], 2), (vec![0, 1, 2], 3)] {
            assert_eq!(lowest_free(&in_use.into_iter().collect()), free);
        }
    }

    #[test]
    fn ten_ports_belong_to_a_slot_and_none_lies_beyond_the_last() {
        assert_eq!(port_base(DEFAULT_PORT_BASE, 0), Ok(20_000));
        assert_eq!(port_base(DEFAULT_PORT_BASE, 7), Ok(20_070));
        assert_eq!(port_base(65_516, 1), Ok(65_526));
        assert_eq!(port_base(65_517, 1), Err(NoPorts { slot: 1, base: 65_517, room: 1 }));
        assert!(port_base(20_000, u32::MAX).is_err());
    }
}
