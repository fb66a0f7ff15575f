//! When is a wait over? One timer for all deadlines of the process, and watches over the halves of hops.

mod alarm;
mod watchdog;

pub(crate) use self::{alarm::Alarm, watchdog::Watchdog};
