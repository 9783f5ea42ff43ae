//! Evidence: e-values, in logs.
