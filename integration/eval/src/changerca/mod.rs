//! ChangeRCA (IntelligentDDS/ChangeRCA): canary releases of Online Boutique with injected defects,
//! beside harmless releases in the same hours.
//!
//! [`source`] finds the files in day folders or archives, [`rows`] reads them, [`draw`] makes
//! requests of the minutes' rates, [`fan_out`] tells what a pod called, [`liveness`] which pods were
//! left out and [`caller`] what their callers saw, [`stand_in`] puts stable pods in the candidate's
//! place, and [`run`] puts every judge before every canary.

pub mod caller;
pub mod draw;
pub mod fan_out;
pub mod liveness;
pub mod rows;
pub mod run;
pub mod source;
pub mod stand_in;
