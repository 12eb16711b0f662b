//! Reports over the lake, one module each: in come a period and an engine, out come figures that the SQL behind them gives again. Never writes the lake.

pub mod focus;
